"""The second factor, through the admin's own pages: set up, asked for, guessed at, lost and taken away."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from config.second_factor import devices
from tests.factories import UserFactory
from tests.trader.admin.site import PAGES, SITE_VALUES, browser_of, member
from trader.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"
LOCKED = 429
LOG_IN, OWN, SET_UP = "/admin/login/", "/admin/second_factor/", "/admin/second_factor/set_up/"
CODE = "/admin/second_factor/code/"
WHERE = "/admin/trader/instrument/"
WRONG = "000000"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada() -> User:
    """A superuser with a password, and no second factor yet."""
    user = UserFactory.build(email="ada@example.com", is_staff=True, is_superuser=True)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def codes(ada: User) -> list[str]:
    """Ada's recovery codes; her app is set up, too."""
    TOTPDevice.objects.create(user=ada, name="App")
    return devices.new_recovery_codes(ada)


def app_code(user: User, steps: int = 0) -> str:
    """What the app shows, so many half minutes from now."""
    device = TOTPDevice.objects.get(user=user)
    return f"{TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift + steps).token():06}"


def wrong_code(user: User) -> str:
    """One that no step takes that is tried."""
    return next(
        code
        for code in ("000000", "000001", "000002", "000003")
        if code not in {app_code(user, n) for n in range(-3, 4)}
    )


def time_passes(**by: int) -> None:
    """Since the wrong codes and the failed attempts."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.update(throttling_failure_timestamp=F("throttling_failure_timestamp") - timedelta(**by))
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**by))


def give_password(client: Client, password: str = PASSWORD, then: str = WHERE, email: str = "ada@example.com") -> Any:
    return client.post(f"{LOG_IN}?next={then}", {"username": email, "password": password, "next": then})


def give_code(client: Client, code: str, then: str = WHERE) -> Any:
    return client.post(CODE, {"code": code, "next": then})


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def logged_in(user: User) -> Client:
    """A browser that has given the password and a code."""
    client = Client()
    give_password(client)
    assert give_code(client, app_code(user)).status_code == 302
    assert is_in(client)
    return client


def do(client: Client, step: str, password: str = PASSWORD) -> Any:
    return client.post(OWN, {"step": step, "password": password})


def shown_codes(response: Any) -> list[str]:
    return re.findall(r"<li><code>([\d ]+)</code>", response.content.decode())


def errors(response: Any) -> str:
    return " ".join(response.context["form"].errors.get("code", []))


def set_up(client: Client, user: User) -> list[str]:
    """Through the pages; the recovery codes that are shown at the end."""
    assert do(client, "on")["Location"] == SET_UP
    return shown_codes(client.post(SET_UP, {"code": app_code(user)}))


def test_a_second_factor_is_set_up_and_asked_for_from_then_on(ada: User) -> None:
    client = browser_of(ada)
    assert "It is off" in client.get(OWN).content.decode()

    assert do(client, "on")["Location"] == SET_UP
    page = client.get(SET_UP)
    done = client.post(SET_UP, {"code": app_code(ada)})

    secret = TOTPDevice.objects.get(user=ada).config_url.partition("secret=")[2].partition("&")[0]
    assert "<svg" in page.content.decode()
    assert page.context["secret"].replace(" ", "") == secret
    assert len({*shown_codes(done)}) == devices.RECOVERY_CODES
    assert "no-store" in done["Cache-Control"]
    assert is_in(client)
    another = Client()
    assert give_password(another)["Location"] == f"{CODE}?next=%2Fadmin%2Ftrader%2Finstrument%2F"
    assert not is_in(another)
    # The one of the setting up is used.
    assert give_code(another, app_code(ada, 1))["Location"] == WHERE
    assert is_in(another)


def test_the_secret_and_the_recovery_codes_are_shown_once(ada: User) -> None:
    client = browser_of(ada)
    first = set_up(client, ada)

    assert client.get(SET_UP)["Location"] == OWN
    later = client.get(OWN).content.decode()

    assert len(first) == devices.RECOVERY_CODES
    assert not [code for code in first if code in later or code.replace(" ", "") in later]
    assert TOTPDevice.objects.get().key not in later


@pytest.mark.parametrize("step", ["on", "off", "codes"])
def test_no_step_is_taken_without_the_password(ada: User, step: str) -> None:
    client = browser_of(ada)
    if step != "on":
        set_up(client, ada)
    before = [*StaticToken.objects.values()], [*TOTPDevice.objects.values("id", "confirmed")]

    for password in ("", "wrong"):
        assert do(client, step, password).status_code == 200

    assert ([*StaticToken.objects.values()], [*TOTPDevice.objects.values("id", "confirmed")]) == before


def test_guessing_the_password_there_is_locked_as_at_the_log_in(ada: User) -> None:
    client = browser_of(ada)

    assert [do(client, "on", "wrong").status_code for _ in range(5)] == [200, 200, 200, 200, LOCKED]
    assert do(client, "on").status_code == LOCKED


def test_it_is_not_on_before_a_code_has_confirmed_it(ada: User) -> None:
    client = browser_of(ada)
    do(client, "on")

    assert "wrong" in errors(client.post(SET_UP, {"code": wrong_code(ada)}))

    assert give_password(Client())["Location"] == WHERE
    time_passes(seconds=2)
    assert shown_codes(client.post(SET_UP, {"code": app_code(ada)}))


def test_turning_it_on_again_shows_another_secret_until_it_is_confirmed(ada: User) -> None:
    client = browser_of(ada)
    do(client, "on")
    first = TOTPDevice.objects.get(user=ada)

    do(client, "on")
    second = TOTPDevice.objects.get(user=ada)
    client.post(SET_UP, {"code": app_code(ada)})
    do(client, "on")

    assert first.key != second.key
    assert TOTPDevice.objects.get(user=ada).key == second.key


def test_nothing_tells_a_wrong_password_of_who_has_a_second_factor_from_another(ada: User, codes: list[str]) -> None:
    UserFactory.create(email="bob@example.com", is_staff=True)

    answers = [give_password(Client(), "wrong", email=f"{name}@example.com") for name in ("ada", "bob", "nobody")]

    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.context["form"].errors) for answer in answers}) == 1


def test_a_code_is_good_for_once(ada: User, codes: list[str]) -> None:
    code = app_code(ada)
    first, second = Client(), Client()
    for client in (first, second):
        give_password(client)

    assert give_code(first, code)["Location"] == WHERE
    assert "was used already" in errors(give_code(second, code))
    assert not is_in(second)


def test_a_recovery_code_is_good_for_once_however_it_is_written(ada: User, codes: list[str]) -> None:
    first, second = Client(), Client()
    for client in (first, second):
        give_password(client)

    assert give_code(first, f" {devices.in_groups(codes[0])} ")["Location"] == WHERE
    assert is_in(first)
    assert "wrong" in errors(give_code(second, codes[0]))
    assert StaticToken.objects.count() == devices.RECOVERY_CODES - 1


def test_the_code_of_another_user_lets_nobody_in(ada: User, codes: list[str]) -> None:
    bob = UserFactory.create(email="bob@example.com", is_staff=True)
    TOTPDevice.objects.create(user=bob, name="App")
    for code in (app_code(bob), devices.new_recovery_codes(bob)[0]):
        client = Client()
        give_password(client)
        give_code(client, code)
        assert not is_in(client)


@pytest.mark.parametrize(
    "code", ["", "x", "12345678", "\uff11\uff12\uff13\uff14\uff15\uff16", "-1", "1e5", "9" * 40, "9" * 5000, "\x00" * 6]
)
def test_what_is_no_code_is_refused(ada: User, codes: list[str], code: str) -> None:
    client = Client()
    give_password(client)

    assert give_code(client, code).status_code == 200
    assert not is_in(client)


def test_a_code_alone_lets_nobody_in(ada: User, codes: list[str]) -> None:
    client = Client()

    for send in (client.get, client.post):
        assert send(CODE, {"code": app_code(ada)})["Location"].startswith(LOG_IN)
    assert not is_in(client)


def test_the_password_holds_for_five_minutes_and_while_it_is_the_password(
    ada: User, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, another = Client(), Client()
    give_password(client)
    give_password(another)

    monkeypatch.setattr("config.second_factor.login.WAITS_SECONDS", -1)
    assert give_code(client, app_code(ada))["Location"].startswith(LOG_IN)
    monkeypatch.undo()
    ada.set_password("another password")
    ada.save()
    assert give_code(another, app_code(ada))["Location"].startswith(LOG_IN)
    assert not is_in(client)
    assert not is_in(another)


@pytest.mark.parametrize("flag", ["is_active", "is_staff"])
def test_who_is_shut_out_in_between_is_not_let_in(ada: User, codes: list[str], flag: str) -> None:
    client = Client()
    give_password(client)
    User.objects.update(**{flag: False})

    assert give_code(client, app_code(ada))["Location"].startswith(LOG_IN)


@pytest.mark.parametrize("then", ["https://example.com/", "//example.com", "javascript:alert(1)", "/\\example.com"])
def test_the_log_in_leads_to_this_site_alone(ada: User, codes: list[str], then: str) -> None:
    client = Client()

    assert "example" not in give_password(client, then=then)["Location"]
    assert give_code(client, app_code(ada), then=then)["Location"] == "/admin/"


def test_a_session_from_before_shows_the_code_before_any_page(ada: User) -> None:
    stolen = browser_of(ada)
    set_up(browser_of(ada), ada)

    for page in PAGES:
        if page.model is None and page.name not in {"login", "logout", "second_factor_code"}:
            for send in (stolen.get, stolen.post):
                assert send(page.path(SITE_VALUES))["Location"].startswith(LOG_IN), page
    assert stolen.get(LOG_IN, {"next": WHERE})["Location"].startswith(CODE)
    key = stolen.session.session_key
    assert give_code(stolen, app_code(ada, 1))["Location"] == WHERE
    assert is_in(stolen)
    assert stolen.session.session_key != key


def test_who_owes_a_code_can_go_back_to_the_log_in(ada: User, codes: list[str]) -> None:
    waiting, before = Client(), browser_of(ada)
    give_password(waiting)

    for client in (waiting, before):
        assert client.post("/admin/logout/").status_code == 200
        assert client.get(LOG_IN).status_code == 200
        assert give_code(client, app_code(ada))["Location"].startswith(LOG_IN)


def test_a_wrong_code_makes_the_next_one_wait_twice_as_long(ada: User, codes: list[str]) -> None:
    client = Client()
    give_password(client)

    give_code(client, wrong_code(ada))
    assert TOTPDevice.objects.get().throttling_failure_count == 1
    TOTPDevice.objects.update(throttling_failure_count=10)
    waits = re.search(r"try again in (\d+) s", errors(give_code(client, app_code(ada))))

    assert waits
    assert 500 < int(waits[1]) <= 512
    # What was not looked at was no attempt, and the recovery codes are another lock.
    assert AccessAttempt.objects.get().failures_since_start == 1
    assert give_code(client, codes[0])["Location"] == WHERE


def test_five_wrong_codes_lock_the_log_in_and_the_right_password_resets_nothing(ada: User, codes: list[str]) -> None:
    client, statuses = Client(), []
    for _ in range(5):
        give_password(client)
        statuses.append(give_code(client, wrong_code(ada)).status_code)
        TOTPDevice.objects.update(throttling_failure_count=0)

    assert statuses == [200, 200, 200, 200, LOCKED]
    for right in (app_code(ada), codes[0]):
        answer = give_code(client, right)
        assert answer.status_code == LOCKED
        assert "this log-in is locked" in answer.content.decode()
    assert give_password(Client()).status_code == LOCKED
    assert StaticToken.objects.count() == devices.RECOVERY_CODES
    time_passes(minutes=16)
    give_password(client)
    assert give_code(client, app_code(ada))["Location"] == WHERE
    assert not AccessAttempt.objects.exists()


def test_no_code_is_kept_of_a_failed_attempt(ada: User, codes: list[str]) -> None:
    client = Client()
    give_password(client)
    give_code(client, wrong_code(ada))

    assert wrong_code(ada) not in AccessAttempt.objects.get().post_data


def test_a_log_in_is_recorded_when_it_is_complete(ada: User, codes: list[str]) -> None:
    client = Client()
    give_password(client)
    before = AccessLog.objects.count()
    give_code(client, app_code(ada))

    assert (before, AccessLog.objects.count()) == (0, 1)


def test_new_recovery_codes_make_the_former_ones_void(ada: User, codes: list[str]) -> None:
    new = shown_codes(do(logged_in(ada), "codes"))
    client = Client()
    give_password(client)

    assert len(new) == devices.RECOVERY_CODES
    assert give_code(client, codes[0]).status_code == 200
    time_passes(seconds=2)
    assert give_code(client, new[0])["Location"] == WHERE
    assert is_in(client)


def test_turned_off_the_password_is_enough_again(ada: User, codes: list[str]) -> None:
    client = logged_in(ada)

    do(client, "off")

    assert is_in(client)
    assert not TOTPDevice.objects.exists()
    assert not StaticDevice.objects.exists()
    assert give_password(Client())["Location"] == WHERE


def test_what_a_person_did_about_it_is_in_the_history_of_the_user(ada: User) -> None:
    client = browser_of(ada)
    set_up(client, ada)
    do(client, "codes")
    do(client, "off")

    history = client.get(f"/admin/trader/user/{ada.pk}/history/").content.decode()

    for words in ("Turned the second factor on.", "Made new recovery codes.", "Turned the second factor off."):
        assert history.count(words) == 1


def test_where_everybody_must_have_one_it_is_set_up_before_any_other_page(ada: User, settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = True
    client = Client()

    assert give_password(client)["Location"] == WHERE
    assert client.get(WHERE)["Location"].startswith(LOG_IN)
    assert client.get(LOG_IN)["Location"] == OWN
    page = client.get(OWN).content.decode()
    assert "set yours up to go on" in page
    assert WHERE not in page
    assert client.post(WHERE, {"post": "yes"})["Location"].startswith(LOG_IN)
    assert len(set_up(client, ada)) == devices.RECOVERY_CODES
    assert is_in(client)
    do(client, "off")
    assert not is_in(client)
    assert client.post("/admin/logout/").status_code == 200


def test_an_operator_takes_a_lost_second_factor_away_and_sees_no_secret(ada: User, codes: list[str]) -> None:
    User.objects.update(is_superuser=False)
    operator = member("operator")
    device = TOTPDevice.objects.get()
    TOTPDevice.objects.create(user=UserFactory.create(email="begun@example.com"), name="App", confirmed=False)
    paths = ["/admin/otp_totp/totpdevice/", f"/admin/otp_totp/totpdevice/{device.pk}/change/"]

    shown = "".join(operator.get(path).content.decode() for path in paths)
    gone = operator.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})

    assert "ada@example.com" in shown
    assert "begun@example.com" not in shown
    assert not [secret for secret in (device.key, devices.secret_of(device), *codes) if secret in shown]
    assert gone.status_code == 302
    assert not StaticToken.objects.exists()
    assert give_password(Client())["Location"] == WHERE


@pytest.mark.parametrize("together", [False, True])
def test_an_operator_leaves_a_superusers_second_factor_alone(ada: User, codes: list[str], together: bool) -> None:
    operator = member("operator")
    device = TOTPDevice.objects.get()
    path = "/admin/otp_totp/totpdevice/" + ("" if together else f"{device.pk}/delete/")
    chosen = {"action": "delete_selected", "_selected_action": [device.pk], "post": "yes"}

    assert operator.post(path, chosen).status_code == 403

    assert TOTPDevice.objects.exists()
    assert StaticToken.objects.count() == devices.RECOVERY_CODES


def test_a_superuser_takes_several_away_at_once(operator_client: Client, ada: User, codes: list[str]) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [TOTPDevice.objects.get().pk], "post": "yes"}

    operator_client.post("/admin/otp_totp/totpdevice/", chosen)

    assert not TOTPDevice.objects.exists()
    assert not StaticDevice.objects.exists()


def test_no_page_shows_secrets_even_to_a_superuser(operator_client: Client, ada: User, codes: list[str]) -> None:
    device = TOTPDevice.objects.get()

    for page in ("qrcode", "config"):
        assert operator_client.get(f"/admin/otp_totp/totpdevice/{device.pk}/{page}/").status_code in {302, 404}
    assert operator_client.get("/admin/otp_static/staticdevice/").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        "otp_totp/totpdevice/?key__startswith=",
        "otp_totp/totpdevice/?user__password__startswith=",
        "trader/user/?totpdevice__key__startswith=",
        "trader/user/?staticdevice__token_set__token__startswith=",
        "trader/user/?password__startswith=",
        "trader/account/?owner__password__startswith=",
        "trader/account/?owner__totpdevice__key__startswith=",
    ],
)
def test_no_list_tells_how_a_secret_begins(ada: User, codes: list[str], asked: str) -> None:
    assert member("operator").get(f"/admin/{asked}a").status_code == 400


def said(email: str) -> str:
    output = io.StringIO()
    call_command("second_factor", "remove", email, stdout=output)
    return output.getvalue()


def test_a_command_takes_it_away_from_the_only_superuser(ada: User, codes: list[str]) -> None:
    assert said("Ada@Example.com") == "The second factor of ada@example.com is gone: the password alone lets in.\n"
    assert said("ada@example.com") == "ada@example.com has no second factor: there is nothing to take away.\n"
    assert give_password(Client())["Location"] == WHERE


def test_the_command_knows_nobody_of_another_address() -> None:
    with pytest.raises(CommandError, match="Nobody logs in as nobody@") as error:
        said("nobody@example.com")

    assert error.value.returncode == 2
