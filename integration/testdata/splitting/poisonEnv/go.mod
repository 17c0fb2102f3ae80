module example.com/poisonEnv

go 1.26.0
