"""Connection ids and whose they are."""

from fake_port import FakePort

from wtransport._adapter.connection_table import ConnectionTable


def test_ids_follow_what_the_port_issues_and_retires():
    table = ConnectionTable()
    port = FakePort(b"first--1")
    connection = object()
    table.add(connection, port=port, client_cids=[b"made up by client"])
    assert table.routes == {b"made up by client": connection, b"first--1": connection}
    port.on_cid_issued(b"second-2")
    port.on_cid_retired(b"first--1")
    port.on_cid_retired(b"never issued")
    assert table.routes == {b"made up by client": connection, b"second-2": connection}


def test_removing_one_connection_leaves_the_others():
    table = ConnectionTable()
    ports = [FakePort(b"id-%d" % number) for number in range(3)]
    connections = [object() for _ in ports]
    for number, port in enumerate(ports):
        table.add(connections[number], port=port, client_cids=[b"original-%d" % number])
    assert len(table) == 3
    assert list(table) == connections
    table.remove(connections[1], port=ports[1])
    table.remove(connections[1], port=ports[1])
    assert list(table) == [connections[0], connections[2]]
    assert set(table.routes) == {b"id-0", b"original-0", b"id-2", b"original-2"}
    ports[1].on_cid_issued(b"late")
    ports[1].on_cid_retired(b"late")
    assert b"late" not in table.routes
    table.remove(connections[0], port=ports[0])
    table.remove(connections[2], port=ports[2])
    assert not table.routes
    assert not len(table)


def test_a_retired_id_of_another_connection_stays():
    table = ConnectionTable()
    one, other = FakePort(b"one"), FakePort(b"other")
    table.add(first := object(), port=one, client_cids=[b"a"])
    table.add(second := object(), port=other, client_cids=[b"b"])
    one.on_cid_retired(b"other")
    assert table.routes[b"other"] is second
    assert table.routes[b"one"] is first
