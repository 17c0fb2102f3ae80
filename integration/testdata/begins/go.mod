module example.com/begins

go 1.24
