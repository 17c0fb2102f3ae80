module example.com/agentKilled

go 1.26.0
