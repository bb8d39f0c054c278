import os
import sys

from py import name

folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "data", "greeting")) as greeting:
    print(greeting.read().strip(), name.NAME)
print("from", sys.version_info.major)
