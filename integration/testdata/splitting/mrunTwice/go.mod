module example.com/mrunTwice

go 1.26.0
