module example.com/serialFile

go 1.26.0
