module example.com/onRequest

go 1.26.0
