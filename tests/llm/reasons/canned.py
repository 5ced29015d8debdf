"""A backend whose replies are written down."""

from feint.llm.reasons.backend import Sampled, words


class Canned:
    """Says `reply(messages, seed)`; by default the seed. Breaks off after so many replies."""

    def __init__(self, reply=None, name="canned", breaks_after=None):
        self.reply, self.name, self.breaks_after = reply, name, breaks_after
        self.asked = 0

    def count(self, text):
        return words(text)

    def sample(self, conversations, seeds, how):
        for k, (messages, seed) in enumerate(zip(conversations, seeds, strict=True)):
            if self.asked == self.breaks_after:
                raise KeyboardInterrupt
            self.asked += 1
            said = f"said {seed}" if self.reply is None else self.reply(messages, seed)
            yield k, Sampled(said, True)
