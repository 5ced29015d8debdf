"""Replies from any OpenAI-compatible server, over `POST BASE/chat/completions`.

What passes is retried with growing pauses: time-outs, dropped connections, 408, 409, 425, 429 (its
Retry-After is kept to), 5xx, and answers that are no JSON or not in the form. Everything else is an
error at once. One request gives one reply, and a reply is handed on once.
"""

import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from feint.llm.reasons.backend import Sampled, Sampling, words
from feint.llm.reasons.turns import Message

_PASSES = {408, 409, 425, 429}


class Unavailable(RuntimeError):
    """A server gave no answer, however often it was asked."""


class _Again(Exception):
    """This request is to be repeated, after so many seconds if the server said."""

    def __init__(self, why: str, after: float | None = None):
        super().__init__(why)
        self.after = after


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible server.

    Attributes:
        url: Up to the version, such as "http://localhost:8000/v1".
        model: Its name there.
        key_env: Environment variable with the key; none is sent where it is not set.
        workers: Requests at once.
        timeout: Seconds that a server may be silent.
        attempts: How often a request is tried.
        pause: Seconds before the second try; doubled each time, up to a minute, with jitter.
        extra: More fields of the request.
        sleep: Waits; for tests.

    Raises:
        ValueError: Naming the setting, what it got and what it may be.
    """

    url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    workers: int = 4
    timeout: float = 120.0
    attempts: int = 7
    pause: float = 1.0
    extra: dict[str, Any] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, got {self.url!r}")
        for name in ("workers", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.timeout > 0 or self.pause < 0:
            raise ValueError(
                f"timeout must be > 0 and pause >= 0, got {self.timeout} and {self.pause}"
            )

    @property
    def name(self) -> str:
        """For files and reports."""
        return self.model

    def count(self, text: str) -> int:
        """Words and marks of a text, since the server's tokenizer is not at hand."""
        return words(text)

    def sample(
        self, conversations: Sequence[Sequence[Message]], seeds: Sequence[int], how: Sampling
    ) -> Iterator[tuple[int, Sampled]]:
        """One reply to each conversation, with its index, as they come.

        Raises:
            Unavailable: If one could not be had; those that were on their way are handed on first.
            ValueError: If the server refuses a request.
        """
        failed: Exception | None = None
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: dict[Future[Sampled], int] = {
                pool.submit(self.ask, messages, seed, how): k
                for k, (messages, seed) in enumerate(zip(conversations, seeds, strict=True))
            }
            try:
                for future in as_completed(waiting):
                    if future.cancelled():
                        continue
                    try:
                        reply = future.result()
                    except (Unavailable, ValueError) as error:
                        failed = failed or error
                        for other in waiting:
                            other.cancel()
                        continue
                    yield waiting[future], reply
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        if failed is not None:
            raise failed

    def ask(self, messages: Sequence[Message], seed: int | None, how: Sampling) -> Sampled:
        """One reply to one conversation.

        Raises:
            Unavailable: If it could not be had in all attempts.
            ValueError: If the server refuses the request.
        """
        body = {
            "model": self.model,
            "messages": list(messages),
            "temperature": how.temperature,
            "top_p": how.top_p,
            "max_tokens": how.max_new_tokens,
            **({} if seed is None else {"seed": seed}),
            **self.extra,
        }
        for attempt in range(self.attempts):
            try:
                return _reply(self._post(body))
            except _Again as error:
                why = error
            if attempt + 1 < self.attempts:
                pause = min(60.0, self.pause * 2**attempt) * random.uniform(0.5, 1.5)
                self.sleep(max(pause, why.after or 0.0))
        raise Unavailable(
            f"{self.url} gave no answer in {self.attempts} tries, at last: {why}; what came before "
            "is kept, and the same command goes on"
        )

    def _post(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_env):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            told = _short(error)
            if error.code in _PASSES or error.code >= 500:
                after = _seconds(error.headers.get("Retry-After"))
                raise _Again(f"HTTP {error.code} {told}", after) from error
            hint = f" (the key is read from ${self.key_env})" if error.code in (401, 403) else ""
            raise ValueError(f"{self.url} refuses: HTTP {error.code} {told}{hint}") from error
        except (OSError, http.client.HTTPException) as error:  # time-outs, drops, cut answers
            raise _Again(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _reply(answer: bytes) -> Sampled:
    try:
        choice = json.loads(answer)["choices"][0]
        message = choice["message"]
        text = message["content"]
        thought = message.get("reasoning_content") or message.get("reasoning")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _Again(f"an answer that is not in the form: {answer[:80]!r}") from error
    if not isinstance(text, str | None) or not isinstance(thought, str | None):
        raise _Again(f"an answer whose content is no text: {answer[:80]!r}")
    said = (text or "").strip()
    if thought:
        said = f"<think>{thought.strip()}</think>\n{said}"
    return Sampled(said, choice.get("finish_reason") != "length")


def _seconds(after: str | None) -> float | None:
    """What Retry-After says, in seconds or as a date; at most ten minutes."""
    if not after:
        return None
    try:
        return min(600.0, max(0.0, float(after)))
    except ValueError:
        pass
    try:
        return min(
            600.0, max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
        )
    except ValueError:
        return None


def _short(error: urllib.error.HTTPError) -> str:
    try:
        return " ".join(error.read(200).decode("utf-8", "replace").split())
    except (OSError, http.client.HTTPException):
        return ""
