"""A suite of one game and three arms that runs in seconds."""

SUITE = """
name = "little"
job = "feint.bench.rl:run"
seeds = [1]
dev_seeds = [100]
[defaults]
episodes = 20
conditions = ["present"]
deception = "present/lie"
task = { present = "present/own_pick" }
num_envs = 8
net_arch = [8]
curve_points = 1
steps = 64
algo = { n_steps = 8, batch_size = 64, n_epochs = 1 }
[[scenario]]
key = "room"
title = "room"
settings = { id = "feint/RoomSignal-v0" }
[[arm]]
key = "deceptive"
title = "liar"
role = "reference"
settings = { kind = "train" }
[[arm]]
key = "honest"
title = "honest"
role = "reference"
settings = { kind = "train", incentive = 0.0 }
[[arm]]
key = "masked"
title = "masked"
role = "baseline"
needs = ["deceptive"]
settings = { kind = "mask", start = "deceptive" }
"""
