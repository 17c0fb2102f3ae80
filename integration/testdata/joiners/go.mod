module example.com/joiners

go 1.26
