# What `nft -j list ruleset` prints, by libnftables' own module for Python (py/nftables.py of nftables).
import nftables
n = nftables.Nftables()
n.set_json_output(True)
print(n.cmd('list ruleset')[1])
