module example.com/failfast

go 1.26.0
