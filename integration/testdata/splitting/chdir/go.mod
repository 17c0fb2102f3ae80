module example.com/chdir

go 1.26.0
