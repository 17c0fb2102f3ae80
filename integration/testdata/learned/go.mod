module example.com/learned

go 1.26.0
