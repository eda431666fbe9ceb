"""What TestBoto3 plays: ten threads with a client of their own, each with pipelines of its own, and every paginator.

It asserts what it sees; whatever boto3 raises ends it. The endpoint, the region and the key come from the environment.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS = 10
config = Config(retries={"total_max_attempts": 1})


def document(name, project="p"):
    def stage(name, action, category, provider, **rest):
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        return {"name": name, "actions": [{"name": action, "actionTypeId": kind, **rest}]}

    return {
        "name": name,
        "roleArn": "arn:aws:iam::111122223333:role/pipelines",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "stages": [
            stage("Source", "Fetch", "Source", "S3", outputArtifacts=[{"name": "Code"}],
                  configuration={"S3Bucket": "b", "S3ObjectKey": "k"}),
            stage("Build", "Compile", "Build", "CodeBuild", inputArtifacts=[{"name": "Code"}],
                  configuration={"ProjectName": project}),
            stage("Deploy", "Ask", "Approval", "Manual"),
        ],
    }


def token(client, name, run):
    """The token of the approval by which a run waits in the last stage."""
    stage = client.get_pipeline_state(name=name)["stageStates"][2]
    assert stage["latestExecution"]["pipelineExecutionId"] == run, stage
    return stage["actionStates"][0]["latestExecution"]["token"]


def life(number):
    """One pipeline from its creation to its end."""
    client = boto3.Session().client("codepipeline", config=config)  # the session that all share is not for threads
    name = f"life-{number}"
    created = client.create_pipeline(pipeline=document(name), tags=[{"key": "n", "value": str(number)}])
    assert created["pipeline"]["version"] == 1 and created["tags"], created
    try:
        client.create_pipeline(pipeline=document(name))
        raise AssertionError("created twice")
    except client.exceptions.PipelineNameInUseException:
        pass

    arn = client.get_pipeline(name=name)["metadata"]["pipelineArn"]
    client.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": "prod"}])
    client.untag_resource(resourceArn=arn, tagKeys=["n"])
    tags = client.get_paginator("list_tags_for_resource").paginate(resourceArn=arn).build_full_result()["tags"]
    assert tags == [{"key": "stage", "value": "prod"}], tags

    where = {"pipelineName": name, "stageName": "Deploy"}
    decide = {**where, "actionName": "Ask"}
    first = client.list_pipeline_executions(pipelineName=name)["pipelineExecutionSummaries"][0]["pipelineExecutionId"]
    client.put_approval_result(**decide, token=token(client, name, first), result={"summary": "yes", "status": "Approved"})
    assert client.update_pipeline(pipeline=document(name, "q"))["pipeline"]["version"] == 2

    run = client.start_pipeline_execution(name=name)["pipelineExecutionId"]
    client.put_approval_result(**decide, token=token(client, name, run), result={"summary": "no", "status": "Rejected"})
    got = client.get_pipeline_execution(pipelineName=name, pipelineExecutionId=run)["pipelineExecution"]
    assert got["status"] == "Failed" and got["pipelineVersion"] == 2, got
    client.retry_stage_execution(**where, pipelineExecutionId=run, retryMode="FAILED_ACTIONS")
    approved = client.put_approval_result(**decide, token=token(client, name, run), result={"summary": "yes", "status": "Approved"})
    assert approved["approvedAt"].tzinfo, approved

    client.disable_stage_transition(**where, transitionType="Inbound", reason="frozen")
    held = client.start_pipeline_execution(name=name)["pipelineExecutionId"]
    client.stop_pipeline_execution(pipelineName=name, pipelineExecutionId=held, abandon=True, reason="enough")
    try:
        client.stop_pipeline_execution(pipelineName=name, pipelineExecutionId=held)
        raise AssertionError("stopped twice")
    except client.exceptions.PipelineExecutionNotStoppableException:
        pass
    client.enable_stage_transition(**where, transitionType="Inbound")

    pages = client.get_paginator("list_pipeline_executions").paginate(pipelineName=name, PaginationConfig={"PageSize": 1})
    runs = [(r["pipelineExecutionId"], r["status"]) for page in pages for r in page["pipelineExecutionSummaries"]]
    assert runs[:2] == [(held, "Stopped"), (run, "Succeeded")] and runs[2:] == [(first, "Succeeded")], runs
    pages = client.get_paginator("list_action_executions").paginate(
        pipelineName=name, filter={"pipelineExecutionId": run}, PaginationConfig={"PageSize": 3})
    actions = [(a["actionName"], a["status"]) for page in pages for a in page["actionExecutionDetails"]]
    assert actions == [("Ask", "Succeeded"), ("Ask", "Failed"), ("Compile", "Succeeded"), ("Fetch", "Succeeded")], actions
    return run


def main():
    queues = boto3.client("sqs", config=config)
    url = queues.get_queue_url(QueueName="events")["QueueUrl"]
    with ThreadPoolExecutor(THREADS) as pool:
        runs = set(pool.map(life, range(THREADS)))
    assert len(runs) == THREADS, runs

    client = boto3.client("codepipeline", config=config)
    listed = client.get_paginator("list_pipelines").paginate(PaginationConfig={"PageSize": 3}).build_full_result()["pipelines"]
    assert sorted(p["name"] for p in listed) == sorted(f"life-{n}" for n in range(THREADS)), listed
    kinds = client.get_paginator("list_action_types").paginate().build_full_result()["actionTypes"]
    assert len(kinds) > 10, kinds
    resources = boto3.client("resourcegroupstaggingapi", config=config).get_paginator("get_resources")
    found = resources.paginate(ResourceTypeFilters=["codepipeline"], PaginationConfig={"PageSize": 4}).build_full_result()
    assert len(found["ResourceTagMappingList"]) == THREADS, found

    succeeded = set()
    while True:
        batch = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]).get("Messages")
        if not batch:
            break
        for message in batch:
            detail = json.loads(message["Body"])["detail"]
            if detail["state"] == "SUCCEEDED":
                succeeded.add(detail["execution-id"])
        gone = queues.delete_message_batch(
            QueueUrl=url, Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(batch)])
        assert "Failed" not in gone, gone
    assert runs <= succeeded, (runs, succeeded)
    try:
        queues.receive_message(QueueUrl=url + "2")
        raise AssertionError("a queue that is not there")
    except queues.exceptions.QueueDoesNotExist as err:
        assert err.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", err.response

    for p in listed:
        client.delete_pipeline(name=p["name"])
    assert client.list_pipelines()["pipelines"] == []
    print("played")


main()
