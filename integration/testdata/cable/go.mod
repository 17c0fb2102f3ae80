module example.com/cable

go 1.26
