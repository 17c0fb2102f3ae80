module example.com/portExit

go 1.26.0
