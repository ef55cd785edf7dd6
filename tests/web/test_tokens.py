from opusbridge.web.tokens import TOKENS_PER_CALL, StreamTokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_good_once_for_its_call() -> None:
    tokens = StreamTokens(Clock())
    token = tokens.issue("CA1")

    assert not tokens.redeem("CA2", token)
    assert tokens.redeem("CA1", token)
    assert not tokens.redeem("CA1", token)


def test_a_token_lives_for_a_minute() -> None:
    clock = Clock()
    tokens = StreamTokens(clock)
    early, late = tokens.issue("CA1"), tokens.issue("CA2")

    clock.now = 59.9
    assert tokens.redeem("CA1", early)
    clock.now = 60.0
    assert not tokens.redeem("CA2", late)


def test_a_fresh_token_does_not_spoil_the_one_before() -> None:
    tokens = StreamTokens(Clock())
    first, second = tokens.issue("CA1"), tokens.issue("CA1")

    assert first != second
    assert tokens.redeem("CA1", first)
    assert tokens.redeem("CA1", second)


def test_nobody_can_make_us_remember_tokens_without_end() -> None:
    clock = Clock()
    tokens = StreamTokens(clock)
    first = tokens.issue("CA1")
    for _ in range(TOKENS_PER_CALL):
        tokens.issue("CA1")

    assert len(tokens) == TOKENS_PER_CALL
    assert not tokens.redeem("CA1", first)
    clock.now = 60.0
    tokens.issue("CA2")
    assert len(tokens) == 1
