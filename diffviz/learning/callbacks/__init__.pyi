from .curve import scalars
from .huggingface import follow_trainer
from .lightning import LightningCallback
from .loop import Follower, follow_loop

__all__ = ["Follower", "LightningCallback", "follow_loop", "follow_trainer", "scalars"]
