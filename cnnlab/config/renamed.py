"""Keys and values by the names they once had, so that a refusal can name today's."""

RENAMED = {
    "trainer.label_smoothing": "loss.label_smoothing",
    "trainer.class_weight": "loss.class_weight",
    "trainer.auxiliary_loss_weight": "model.auxiliary_loss_weight",
    "trainer.lookahead_every": "optimizer.lookahead_every",
    "trainer.lookahead_decay": "optimizer.lookahead_decay",
    "trainer.lookahead_power": "optimizer.lookahead_power",
    "trainer.resident_limit_mib": "trainer.cache_limit_mib",
    "trainer.data=resident": "trainer.data=cached",
    "dataset.strict": "dataset.on_error",
    "metric": "by",  # of compare
    "seeds.order": "seeds.shuffle",
}


def renamed(key: str) -> str:
    """A hint that tells the new name of a key, or of "key=value"; empty where it has always had its name."""
    return f"; it is now {RENAMED[key]}" if key in RENAMED else ""
