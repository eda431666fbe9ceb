"""Keeps pipelines as files say, with boto3 and ten threads: boto3_sync.py create|check|sync FOLDER"""

import json
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

purpose, folder = sys.argv[1:]
# The usual mode gives up where calls are throttled.
client = boto3.client("codepipeline", config=Config(max_pool_connections=10, retries={"mode": "adaptive", "max_attempts": 20}))


def sync(file):
    wanted = json.loads(file.read_bytes())["pipeline"]
    if purpose == "create":
        client.create_pipeline(pipeline=wanted)
        return None
    live = client.get_pipeline(name=wanted["name"])["pipeline"]
    del live["version"]
    if live == wanted:
        return None
    if purpose == "sync":
        client.update_pipeline(pipeline=wanted)
    return wanted["name"]


with ThreadPoolExecutor(10) as pool:
    different = [name for name in pool.map(sync, sorted(pathlib.Path(folder).glob("*/*.json"))) if name]
if purpose == "check" and different:
    sys.exit("these differ: " + ", ".join(different))
