"""The first Ctrl-C waits for the step to end; a second one does not; SIGTERM after it is torchrun passing it on."""

import os
import signal

import pytest

from sparring.run.interrupt import Interrupts


@pytest.fixture(autouse=True)
def in_the_foreground():
    """Ctrl-C as in a terminal: a shell's background jobs start with it ignored."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


def test_the_first_of_a_kind_is_noted_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        assert not interrupts.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.requested
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second Ctrl-C was swallowed")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_sigterm_after_ctrl_c_still_lets_the_run_be_saved():
    lines = []
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt, match="saved"):
            interrupts.leave("saved", lines.append)
    assert lines == ["saved"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_leaves_with_its_own_code():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit) as caught:
            interrupts.leave("saved", lambda line: None)
    assert caught.value.code == 143
