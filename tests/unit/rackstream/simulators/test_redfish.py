"""The simulated BMCs' documents and answers: what a demo and a test may count on."""

from __future__ import annotations

import base64
import itertools
import json

import pytest

from rackstream.simulators.bmc import SimulatedBmc, SimulatedBmcSettings
from rackstream.simulators.faults import FAULT_KINDS, FaultShare, InjectedFault, assign_faults
from rackstream.simulators.http import HttpRequest
from rackstream.simulators.model import ROOT
from rackstream.simulators.models import MODELS, model_for
from rackstream.simulators.models.dell import CHASSIS, SYSTEM
from rackstream.simulators.readings import CPU_CRITICAL_CELSIUS, SimulatedReadings
from rackstream.simulators.resource_tree import resource_tree

PERIOD_S = 40.0
SESSIONS = f"{ROOT}/SessionService/Sessions"
every_shape = pytest.mark.parametrize("name", MODELS)


def cpu_ratio(number: int, at_s: float) -> float:
    return SimulatedReadings(number, at_s, PERIOD_S).cpu_celsius / CPU_CRITICAL_CELSIUS


def test_the_first_bmc_breaches_within_15_seconds_and_recovers_within_35() -> None:
    assert cpu_ratio(0, 0) < 0.6
    assert cpu_ratio(0, 15) > 0.9
    assert cpu_ratio(0, 35) < 0.7


@pytest.mark.parametrize("number", range(20))
def test_every_bmc_starts_well_and_breaches_in_its_first_two_periods(number: int) -> None:
    assert cpu_ratio(number, 0) < 0.6
    assert max(cpu_ratio(number, at_s) for at_s in range(int(2 * PERIOD_S))) > 0.9


def test_values_move_smoothly() -> None:
    steps = [SimulatedReadings(3, second / 10, PERIOD_S) for second in range(2000)]
    for before, after in itertools.pairwise(steps):
        assert abs(after.cpu_celsius - before.cpu_celsius) < 0.5
        assert abs(after.watts - before.watts) < 2


def documents(name: str, number: int = 1, at_s: float = 3.0) -> dict[str, dict]:
    """URI → document, as a client gets it, of a collection all pages."""
    tree, moment = resource_tree(name), SimulatedReadings(number, at_s, PERIOD_S)
    found = {}
    for uri in tree.documents:
        found[uri] = page = json.loads(tree.body(uri, "", moment))
        while following := page.get("Members@odata.nextLink"):
            page = json.loads(tree.body(uri, following.partition("?")[2], moment))
            found[uri]["Members"] += page["Members"]
    return found


@every_shape
def test_documents_depend_on_number_and_time_alone(name: str) -> None:
    assert documents(name, 2, 12.5) == documents(name, 2, 12.5)
    assert documents(name, 2, 12.5) != documents(name, 2, 40.0)
    assert documents(name, 2, 12.5) != documents(name, 3, 12.5)


@every_shape
def test_no_two_bmcs_have_a_serial_number_in_common(name: str) -> None:
    def serials(number: int) -> list[str]:
        return [document["SerialNumber"] for document in documents(name, number).values() if "SerialNumber" in document]

    assert serials(1)
    assert not set(serials(1)) & set(serials(2))


def links(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["@odata.id"]] if value.keys() == {"@odata.id"} else []
        return own + [link for inner in value.values() for link in links(inner)]
    return [link for inner in value for link in links(inner)] if isinstance(value, list) else []


@every_shape
def test_every_link_leads_to_a_document_and_every_document_is_at_its_uri(name: str) -> None:
    shape, found = MODELS[name], documents(name)
    linked = {link.rstrip("/") for document in found.values() for link in links(document)}
    assert set(shape.dead_links) | (
        {SESSIONS, SESSIONS.rpartition("/")[0]} if shape.sessions else set()
    ) == linked - set(found)
    assert set(found) - linked == {"/redfish", ROOT}
    for uri, document in found.items():
        assert document.get("@odata.id") in (uri, None)


@every_shape
def test_the_summaries_of_a_server_are_true(name: str) -> None:
    found = documents(name)
    systems = [found[member["@odata.id"].rstrip("/")] for member in found[f"{ROOT}/Systems"]["Members"]]
    for system in systems:
        inside = {
            part: [found[link.rstrip("/")] for link in links(found[system[part]["@odata.id"].rstrip("/")]["Members"])]
            for part in ("Processors", "Memory")
        }
        cpus = [processor for processor in inside["Processors"] if processor["ProcessorType"] == "CPU"]
        assert system["ProcessorSummary"]["Count"] == len(cpus)
        mebibytes = sum(int(each.get("CapacityMiB") or 0) for each in inside["Memory"])
        assert system["MemorySummary"]["TotalSystemMemoryGiB"] * 1024 == mebibytes


def test_a_server_has_what_the_demo_shows() -> None:
    found = documents("dell", 0, 0)
    thermal, power = found[f"{CHASSIS}/Thermal"], found[f"{CHASSIS}/Power"]
    assert (8, 6) == (len(thermal["Temperatures"]), len(thermal["Fans"]))
    assert (3, 4, 2) == (len(power["PowerControl"]), len(power["Voltages"]), len(power["PowerSupplies"]))
    total, *parts = [each["PowerConsumedWatts"] for each in power["PowerControl"]]
    assert total > sum(parts)
    assert found[SYSTEM]["Status"]["Health"] == "OK"


def test_a_mix_is_all_shapes_in_turn() -> None:
    assert [*MODELS, *MODELS] == [model_for("mix", number).name for number in range(2 * len(MODELS))]


def bmc(name: str = "dell", fault: InjectedFault | None = None, **manner: object) -> SimulatedBmc:
    return SimulatedBmc(0, resource_tree(name), SimulatedBmcSettings("root", "sécret", **manner), fault)


def ask(
    server: SimulatedBmc, path: str, *, method: str = "GET", at_s: float = 0.0, login: bool = True, body="", **headers
):
    basic = {"authorization": "Basic " + base64.b64encode("root:sécret".encode()).decode()} if login else {}
    path, _, query = path.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.respond(HttpRequest(method, path, query, basic | named, json.dumps(body).encode()), at_s)


@pytest.mark.parametrize(
    ("name", "query", "status", "inside"),
    [
        pytest.param("dell", "$expand=.($levels=1)", 200, True, id="one level as asked"),
        pytest.param("dell", "%24expand=*", 200, True, id="all, in the other spelling"),
        pytest.param("dell", "$expand=.($levels=2)", 400, None, id="more levels than it has are refused"),
        pytest.param("hpe", "$expand=.", 200, True, id="the one form that it knows"),
        pytest.param("hpe", "$expand=*", 400, None, id="a form it does not know is refused"),
        pytest.param("blade", "$expand=.", 200, False, id="one that knows nothing of it heeds it not"),
    ],
)
def test_a_collection_is_expanded_as_the_service_root_says(name, query, status, inside) -> None:
    answer = ask(bmc(name), f"{ROOT}/Systems?{query}")
    assert status == answer.status
    if inside is not None:
        assert inside == ("SystemType" in json.loads(answer.body)["Members"][0])


def test_levels_go_down_and_links_stay_links() -> None:
    [system] = json.loads(ask(bmc("openbmc"), f"{ROOT}/Systems?$expand=.($levels=3)").body)["Members"]
    assert "ProcessorType" in system["Processors"]["Members"][0]
    assert {"@odata.id"} == system["Links"]["Chassis"][0].keys()


def test_a_long_collection_comes_in_pages_each_member_once() -> None:
    server, path, seen = bmc("openbmc"), f"{ROOT}/Chassis/Board_0/Sensors", []
    sizes = []
    while path:
        page = json.loads(ask(server, path).body)
        sizes.append(len(page["Members"]))
        seen += [member["@odata.id"] for member in page["Members"]]
        path = page.get("Members@odata.nextLink")
    assert [6, 5] == sizes
    assert page["Members@odata.count"] == len(set(seen)) == len(seen)


def test_what_has_not_changed_is_not_sent_again_where_etags_are_served() -> None:
    first = ask(bmc("hpe"), f"{ROOT}/Systems/")
    assert 304 == ask(bmc("hpe"), f"{ROOT}/Systems/", if_none_match=first.headers["ETag"]).status
    assert 200 == ask(bmc("hpe"), f"{ROOT}/Chassis/1/", if_none_match=first.headers["ETag"]).status
    assert "ETag" not in ask(bmc("dell"), f"{ROOT}/Systems").headers


def test_only_the_service_root_is_read_without_a_login() -> None:
    server = bmc()
    assert [200, 200, 401, 401] == [
        ask(server, path, login=False).status for path in ("/redfish", f"{ROOT}/", f"{ROOT}/Systems", SESSIONS)
    ]


def login(server: SimulatedBmc, at_s: float = 0.0, password: str = "sécret"):
    return ask(server, SESSIONS, method="POST", login=False, at_s=at_s, body={"UserName": "root", "Password": password})


def test_a_session_lasts_from_login_to_logout() -> None:
    server = bmc()
    opened = login(server)
    token, uri = opened.headers["X-Auth-Token"], opened.headers["Location"]
    assert (201, uri) == (opened.status, json.loads(opened.body)["@odata.id"])
    assert 200 == ask(server, SYSTEM, login=False, x_auth_token=token).status
    assert [uri] == links(json.loads(ask(server, SESSIONS).body))
    assert 204 == ask(server, uri, method="DELETE", login=False, x_auth_token=token).status
    assert 401 == ask(server, SYSTEM, login=False, x_auth_token=token).status
    assert (1, 1, 0, 0) == tuple(
        server.statistics()[name] for name in ("logins", "logouts", "sessions_open", "sessions_expired")
    )


def test_sessions_left_behind_use_up_the_room_until_their_time_is_over() -> None:
    server = bmc(session_limit=2, session_ttl_s=60.0)
    assert [201, 201, 503] == [login(server, at_s).status for at_s in (0, 30, 59)]
    assert 201 == login(server, 60).status
    assert (3, 0, 1, 1, 2) == tuple(
        server.statistics()[name]
        for name in ("logins", "logouts", "sessions_expired", "sessions_refused", "sessions_most")
    )


def test_a_wrong_password_opens_no_session_and_a_bmc_may_have_none_at_all() -> None:
    assert 401 == login(bmc(), password="wrong").status
    assert 405 == ask(bmc("blade"), SESSIONS, method="POST").status


def test_a_bmc_that_leaks_keeps_closed_sessions() -> None:
    server = bmc(fault=InjectedFault.create("leak"), session_limit=1)
    opened = login(server)
    assert 204 == ask(server, opened.headers["Location"], method="DELETE").status
    assert 503 == login(server).status


@pytest.mark.parametrize(
    ("text", "fault", "bmcs"),
    [
        ("dead=10%", "dead", 20),
        ("slow=10%:15", "slow:15", 20),
        ("5xx=3:500@/Thermal", "5xx:500@/Thermal", 3),
        ("sessions=1", "sessions:0", 1),
    ],
)
def test_a_fault_is_spelt_by_kind_share_value_and_path(text: str, fault: str, bmcs: int) -> None:
    share = FaultShare.parse(text)
    assert (fault, bmcs) == (str(share.fault), share.count(200))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dead", "is not KIND=SHARE"),
        ("sleepy=10%", "is no fault"),
        ("dead=0.5", "as a percentage"),
        ("dead=10%:3", "takes no value"),
        ("dead=1@/Thermal", "the whole BMC"),
        ("5xx=1:404", "from 500 to 599"),
        ("slow=1.2.3%", "are numbers"),
    ],
)
def test_a_fault_that_is_misspelt_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FaultShare.parse(text)


def test_faults_are_given_to_the_same_bmcs_each_time_one_each_and_spread() -> None:
    shares = [FaultShare.parse("dead=10%"), FaultShare.parse("slow=10%"), FaultShare.parse("hang=3")]
    given = assign_faults(1000, shares)
    assert given == assign_faults(1000, shares)
    assert [100, 100, 3] == [sum(each.kind == kind for each in given.values()) for kind in ("dead", "slow", "hang")]
    assert 5 <= sum(number < 100 for number, fault in given.items() if fault.kind == "dead") <= 15
    with pytest.raises(ValueError, match="only 4"):
        assign_faults(4, [FaultShare.parse("dead=3"), FaultShare.parse("slow=50%")])


def test_faults_reach_every_shape_of_a_mix() -> None:
    given = assign_faults(1000, [FaultShare.parse("dead=10%")])
    assert set(MODELS) == {model_for("mix", number).name for number in given}


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (InjectedFault.create("401"), {"status": 401}),
        (InjectedFault.create("404"), {"status": 404}),
        (InjectedFault.create("5xx", 500), {"status": 500}),
        (InjectedFault.create("reset"), {"reset": True}),
        (InjectedFault.create("hang"), {"delay_s": float("inf")}),
        (InjectedFault.create("latency", 2), {"delay_s": 3.0}),
        (InjectedFault.create("slow", 20), {"delay_s": 20.0}),
        (InjectedFault.create("drip", 9), {"drip_s": 9, "delay_s": 1.0}),
        (InjectedFault.create("truncated"), {"cut": True}),
        (InjectedFault.create("empty"), {"status": 200, "body": b""}),
    ],
    ids=str,
)
def test_a_fault_is_that_of_its_path_alone(fault: InjectedFault, changed: dict) -> None:
    there = InjectedFault(fault.kind, fault.value, "/Thermal")
    server = bmc(fault=there, latency_s=1.0)
    faulty = ask(server, f"{CHASSIS}/Thermal")
    assert changed == {name: getattr(faulty, name) for name in changed}
    assert ask(bmc(latency_s=1.0), f"{CHASSIS}/Power") == ask(server, f"{CHASSIS}/Power")
    server.set_fault(None)
    assert ask(bmc(latency_s=1.0), f"{CHASSIS}/Thermal") == ask(server, f"{CHASSIS}/Thermal")


def test_garbage_is_no_json() -> None:
    with pytest.raises(ValueError, match=r"decode|Expecting"):
        json.loads(ask(bmc(fault=InjectedFault.create("garbage")), SYSTEM).body)


def test_one_answer_of_each_category_is_the_slowest() -> None:
    server = bmc(latency_s=1.0)
    ends = (SYSTEM, *(f"{CHASSIS}/{name}" for name in ("Thermal", "Power")))
    inside = tuple(f"{SYSTEM}/{name}" for name in ("Processors", "Memory", "NetworkInterfaces", "Storage"))
    assert {1.0} == {ask(server, path).delay_s for path in (*ends, *inside)}
    assert {0.05} == {ask(server, path).delay_s for path in (ROOT, CHASSIS, f"{SYSTEM}/Memory/DIMM.Socket.A1")}


def test_every_fault_may_be_had_and_is_explained() -> None:
    assert list(FAULT_KINDS) == [InjectedFault.create(kind).kind for kind in FAULT_KINDS]
    assert all(FAULT_KINDS.values())
