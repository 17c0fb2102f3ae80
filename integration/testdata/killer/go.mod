module example.com/killer

go 1.26.0
