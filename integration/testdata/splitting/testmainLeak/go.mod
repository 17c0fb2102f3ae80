module example.com/testmainLeak

go 1.26.0
