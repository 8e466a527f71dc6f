"""Files in the shapes of fastai's language models and classifiers, of every version, and the
network in plain PyTorch, to compare with. Random numbers, real layouts.

    python3 tests/weights/fastai_text.py OUT.tgz [--seed N] [--words N]    an archive like fastai's
"""
import argparse
import collections
import io
import pathlib
import pickle
import tarfile

import torch

SPECIALS = {  # in the order of their ids; fastai 0.7 had neither xxeos nor xxmaj
    "v2": "xxunk xxpad xxbos xxeos xxfld xxrep xxwrep xxup xxmaj".split(),
    "v1": "xxunk xxpad xxbos xxeos xxfld xxmaj xxup xxrep xxwrep".split(),
    "v0": "_unk_ _pad_".split(),
}
OLD = {"xbos": "xxbos", "xfld": "xxfld", "t_up": "xxup", "tk_rep": "xxrep", "tk_wrep": "xxwrep",
       "_unk_": "xxunk", "_pad_": "xxpad"}


def words(version, n):
    """n words; the last are xxfake, as fastai pads its vocabularies."""
    made = list(SPECIALS[version])
    if version == "v0":
        made += ["the", "t_up", ",", "xbos", "tk_rep", "caf\u00e9", "xfld", "tk_wrep"]
    else:
        made += ["the", ",", "n't", "caf\u00e9", "\n", "\U0001f600"]
    made += ["w" + chr(97 + i // 26 % 26) + chr(97 + i % 26) + "o" * (i // 676)
             for i in range(n - len(made) - 2)]
    return made + ["xxfake", "xxfake"]


def network(n_words, embedding=8, hidden=12, layers=3, classes=None, head_bias=False, seed=0,
            head_width=50):
    """{our name: tensor}: engine/zoo/awd_lstm.h."""
    torch.manual_seed(seed)
    made = {"encoder.weight": torch.randn(n_words, embedding) / 2}
    for layer in range(layers):
        inputs = embedding if layer == 0 else hidden
        outputs = embedding if layer == layers - 1 else hidden
        scale = outputs ** -.5
        shapes = {"weight_ih_l0": (4 * outputs, inputs), "weight_hh_l0": (4 * outputs, outputs),
                  "bias_ih_l0": (4 * outputs,), "bias_hh_l0": (4 * outputs,)}
        for name, shape in shapes.items():
            made[f"rnns.{layer}.{name}"] = torch.randn(shape) * scale
    if classes is None:
        made["decoder.bias"] = torch.randn(n_words) / 4
        return made
    for norm, linear, inputs, outputs in ((0, 2, 3 * embedding, head_width),
                                          (4, 6, head_width, classes)):
        made[f"head.{norm}.weight"] = torch.rand(inputs) + .5
        made[f"head.{norm}.bias"] = torch.randn(inputs) / 4
        made[f"head.{norm}.running_mean"] = torch.randn(inputs) / 4
        made[f"head.{norm}.running_var"] = torch.rand(inputs) + .5
        made[f"head.{linear}.weight"] = torch.randn(outputs, inputs) * inputs ** -.5
        if head_bias:
            made[f"head.{linear}.bias"] = torch.randn(outputs) / 4
    return made


def encoder_state(net, front, version):
    state = collections.OrderedDict()
    copy = "encoder_with_dropout.embed.weight" if version == "v0" else "encoder_dp.emb.weight"
    state[front + "encoder.weight"] = net["encoder.weight"]
    state[front + copy] = net["encoder.weight"]
    for name, tensor in net.items():
        if not name.startswith("rnns."):
            continue
        layer, inner = name.rsplit(".", 1)
        if inner != "weight_hh_l0":
            state[f"{front}{layer}.module.{inner}"] = tensor
        elif version == "v0":
            state[f"{front}{layer}.module.{inner}_raw"] = tensor
        else:
            state[f"{front}{layer}.{inner}_raw"] = tensor
            if version == "v1":  # what the last step's dropout left of it
                state[f"{front}{layer}.module.{inner}"] = tensor * (torch.rand(tensor.shape) > .5)
    return state


def language_model_state(net, version):
    state = encoder_state(net, "0.", version)
    state["1.decoder.weight"] = net["encoder.weight"]
    if version != "v0":
        state["1.decoder.bias"] = net["decoder.bias"]
    return state


def classifier_state(net, version):
    """The head's layers are one list in v1; v2 has blocks of norm, dropout, linear, ReLU."""
    state = encoder_state(net, "0.module.", version)
    for name, tensor in net.items():
        if not name.startswith("head."):
            continue
        _, index, inner = name.split(".")
        place = f"{int(index) // 4}.{int(index) % 4}" if version == "v2" else index
        state[f"1.layers.{place}.{inner}"] = tensor
        if inner == "running_var":
            state[f"1.layers.{place}.num_batches_tracked"] = torch.tensor(7)
    return state


def ours(net, vocabulary):
    """The same in this service's order of words, and that order."""
    order = [OLD.get(word, word) for word in vocabulary]
    rows = [order.index(special) if special in order else -1 for special in SPECIALS["v2"]]
    rows += [i for i in range(len(order)) if i not in rows]
    moved = dict(net)
    for name in ("encoder.weight", "decoder.bias"):
        if name in net:
            mean = net[name].double().mean(0).float()
            moved[name] = torch.stack([net[name][i] if i >= 0 else mean for i in rows])
    return moved, [order[i] if i >= 0 else SPECIALS["v2"][at] for at, i in enumerate(rows)]


def encode(net, tokens):
    """(T,B) ids -> (T,B,E), float64, without dropout."""
    x = net["encoder.weight"].double()[tokens]
    layers = 1 + max(int(name.split(".")[1]) for name in net if name.startswith("rnns."))
    for layer in range(layers):
        part = {name.rsplit(".", 1)[1]: tensor.double() for name, tensor in net.items()
                if name.startswith(f"rnns.{layer}.")}
        lstm = torch.nn.LSTM(x.shape[2], part["weight_hh_l0"].shape[1]).double()
        lstm.load_state_dict(part)
        x = lstm(x)[0].detach()
    return x


def logits(net, tokens):
    """(T,B) ids -> (T,B,V)."""
    return encode(net, tokens) @ net["encoder.weight"].double().T + net["decoder.bias"].double()


def classify(net, tokens, max_len=1440):
    """One text's ids -> log odds of the classes: [last, max, mean] of its last outputs."""
    x = encode(net, torch.tensor(tokens)[:, None])[-max_len:, 0]
    x = torch.cat([x[-1], x.max(0).values, x.mean(0)])
    for norm, linear in ((0, 2), (4, 6)):
        part = {name.split(".")[2]: tensor.double() for name, tensor in net.items()
                if name.startswith(f"head.{norm}.")}
        x = (x - part["running_mean"]) / (part["running_var"] + 1e-5).sqrt()
        x = x * part["weight"] + part["bias"]
        x = net[f"head.{linear}.weight"].double() @ x
        if f"head.{linear}.bias" in net:
            x = x + net[f"head.{linear}.bias"].double()
        x = x.relu() if norm == 0 else x
    return x


def torch_bytes(state, legacy=False):
    out = io.BytesIO()
    torch.save(state, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def archive_bytes(members):
    """A .tgz of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def published(net, vocabulary, name="lstm_fwd", version="v1"):
    """As wt103-fwd.tgz and wt103-bwd.tgz are made."""
    return archive_bytes({f"{name}/{name}.pth": torch_bytes(language_model_state(net, version)),
                          f"{name}/itos_wt103.pkl": pickle.dumps(vocabulary)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=int, default=64)
    given = parser.parse_args()
    given.out.write_bytes(published(network(given.words, seed=given.seed),
                                    words("v2", given.words)))
