module example.com/needsEarlier

go 1.26.0
