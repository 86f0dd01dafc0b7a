"""Living in another program's process: forks, signals, threads, imports, the data folder."""
