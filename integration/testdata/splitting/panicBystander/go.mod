module example.com/panicBystander

go 1.26.0
