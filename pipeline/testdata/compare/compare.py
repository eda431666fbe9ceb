"""Tells what botocore's client-side check and cfn-lint find in pipeline documents.

The folder holds ID.breaks.json and ID.mended.json for each rule. Prints JSON: the versions, and for each ID and tool
the messages about both documents.

    python3 compare.py FOLDER
"""

import json
import pathlib
import subprocess
import sys

import botocore
import botocore.loaders
import botocore.model
import botocore.validate

MODEL = botocore.loaders.create_loader().load_service_model("codepipeline", "service-2")
INPUT = botocore.model.ServiceModel(MODEL).operation_model("CreatePipeline").input_shape


def envelope(document):
    return document if "pipeline" in document else {"pipeline": document}


def by_botocore(document):
    """The messages of the check that the AWS CLI and boto3 make before they send a request."""
    report = botocore.validate.ParamValidator().validate(envelope(document), INPUT).generate_report()
    return report.splitlines()


def template(document):
    """The document as a resource of CloudFormation, whose names begin with a capital letter."""
    document = envelope(document)
    properties = capitals(document["pipeline"])
    stores = document["pipeline"].get("artifactStores")
    if isinstance(stores, dict):
        properties["ArtifactStores"] = [{"Region": r, "ArtifactStore": capitals(s)} for r, s in stores.items()]
    if "tags" in document:
        properties["Tags"] = capitals(document["tags"])
    return {"Resources": {"Pipeline": {"Type": "AWS::CodePipeline::Pipeline", "Properties": properties}}}


def capitals(value, name=""):
    if isinstance(value, list):
        return [capitals(v) for v in value]
    if isinstance(value, dict) and name != "configuration":
        return {k[:1].upper() + k[1:]: capitals(v, k) for k, v in value.items()}
    return value


def by_cfn_lint(folder, documents):
    """cfn-lint's findings by file name: of errors and warnings, the rule and the message."""
    paths = []
    for name, document in documents.items():
        path = folder / (name + ".template.json")
        path.write_text(json.dumps(template(document)))
        paths.append(str(path))
    ran = subprocess.run(
        ["cfn-lint", "--format", "json", "--regions", "us-east-1", "--", *paths], capture_output=True, text=True
    )
    found = {name: [] for name in documents}
    for match in json.loads(ran.stdout):
        name = pathlib.Path(match["Filename"]).name.removesuffix(".template.json")
        found[name].append(match["Rule"]["Id"] + " " + match["Message"])
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    documents = {p.name.removesuffix(".json"): json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))}
    tools = {
        "botocore": {name: by_botocore(d) for name, d in documents.items()},
        "cfn-lint": by_cfn_lint(folder, documents),
    }
    found = {}
    for name in documents:
        rule, _, kind = name.partition(".")
        if kind == "breaks":
            found[rule] = {
                tool: {"breaks": messages[name], "sound": messages[rule + ".mended"]} for tool, messages in tools.items()
            }
    version = subprocess.run(["cfn-lint", "--version"], capture_output=True, text=True).stdout.split()[-1]
    json.dump({"versions": {"botocore": botocore.__version__, "cfn-lint": version}, "found": found}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
