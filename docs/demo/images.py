#!/usr/bin/env python3
"""The whole path, as a user walks it: upload images, fine-tune in two stages, ask for a prediction.

    make demo              leaves nothing running
    KEEP=1 make demo       leaves the server running and prints its address

The images are drawn by `thaw-engine synth`; the network is the one that comes with the program,
pretrained on drawn images of other classes.
"""
import shutil
import time

from walk import ask, synth, train, upload, walk

SIZE = 64
TARGET = {"classes": 6, "per_class": 40, "valid": 40}
EPOCHS = {"freeze_epochs": 12, "epochs": 4}


def ask_for_one(server, job, archive, folder):
    """One image that was held out."""
    shutil.unpack_archive(archive, folder / "unpacked")
    image = sorted((folder / "unpacked").glob("**/valid/*/*"))[0]
    ask(server, job, f"--data-binary @{image.name}",
        f"A held-out image of class \"{image.parent.name}\":", image.read_bytes())


def run(server, folder):
    start = time.time()
    archive = synth(folder, "images", "b", size=SIZE, **TARGET)
    target = upload(server, archive)
    common = {"dataset": target["id"], "model": "thaw-small", "batch_size": 16,
              "image": {"size": SIZE}, "augment": {"min_scale": .6}}
    tuned, with_transfer = train(
        server, "Fine-tuning the network that comes with Thaw: the head first, then all layers:",
        {**common, "name": "fine-tune", **EPOCHS})
    epochs = sum(EPOCHS.values())
    _, without = train(
        server, "For comparison, the same network from random weights, as many epochs:",
        {**common, "weights": "random", "name": "from-random",
         "stages": [{"name": "all", "freeze_to": 0, "epochs": epochs, "lr": 4e-3}]})

    ask_for_one(server, tuned, archive, folder)
    print(f"\nValidation accuracy after {epochs} epochs on {target['splits']['train']} images:\n"
          f"  pretrained, then fine-tuned   {with_transfer:.3f}\n"
          f"  from random weights           {without:.3f}\n"
          f"({time.time() - start:.0f} s in all)")


if __name__ == "__main__":
    walk(run)
