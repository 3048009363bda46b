"""Programs of the system take what docs/how-to/live-page.md and docs/how-to/export.md give them."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, Request, build_opener

import pytest
from tools.build_docs import Folder

from tests.documents import blocks
from tests.served import served
from tests.waiting import wait_until

pytestmark = pytest.mark.host

GUIDE = Path("docs/how-to/live-page.md")
HOST = "honeypot.example.net"
AROUND = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
{server}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def proxy(migrated_sqlite: str, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx with the configuration of the guide, before the page of a database."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    assert nginx is not None, "install nginx, or leave this test out: -m 'not host'"
    (server,) = [block.text for block in blocks(GUIDE) if block.language == "nginx"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    key = ["-newkey", "rsa:2048", "-nodes", *files]
    subprocess.run(["openssl", "req", "-x509", *key, "-subj", f"/CN={HOST}"], check=True, capture_output=True)
    (tmp_path / "users").write_text("reader:{PLAIN}secret\n")
    user = "user root;" if os.geteuid() == 0 else ""  # its workers read files of the test
    port = free_port()
    with served("serve", "--behind-proxy", "--host-name", HOST, "--db", migrated_sqlite) as page:
        local = server.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        local = local.replace("http://127.0.0.1:8417", page.url.rstrip("/"))
        local = local.replace("/etc/nginx/snapshots.users", str(tmp_path / "users"))
        (tmp_path / "nginx.conf").write_text(AROUND.format(folder=tmp_path, server=local, user=user))
        command = [nginx, "-e", f"{tmp_path}/error.log", "-c", f"{tmp_path}/nginx.conf", "-g", "daemon off;"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: process.poll() is not None or is_open(port))
            assert process.poll() is None, process.communicate()[1]
            yield port
        finally:
            process.terminate()
            process.communicate()


def test_the_page_is_reached_through_the_proxy_of_the_guide(proxy: int) -> None:
    """By who may, under the name that the page was given, and encrypted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = build_opener(HTTPSHandler(context=context))
    request = Request(f"https://127.0.0.1:{proxy}/", headers={"Host": HOST})
    with pytest.raises(HTTPError, match="401"):
        opener.open(request)

    request.add_header("Authorization", "Basic cmVhZGVyOnNlY3JldA==")
    with opener.open(request) as response:
        assert response.status == 200
        assert "snapshots" in response.read().decode()


def test_the_firewall_drops_the_addresses_of_a_block_list(tmp_path: Path) -> None:
    """In a network of its own, which ends with the commands; loading the list again replaces it."""
    assert shutil.which("nft") is not None, "install nftables, or leave this test out: -m 'not host'"
    (commands,) = [block.text for block in blocks(Path("docs/how-to/export.md")) if block.text.startswith("nft ")]
    program = Folder(tmp_path)
    program.run("snapshots load -q cowrie-logs")
    assert "written" in program.run("snapshots export blocklist.nft --format blocklist --style nftables")

    script = f"set -e\n{commands}\nnft -f blocklist.nft\nnft list ruleset"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "ip saddr @addresses4 drop" in done.stdout
    assert done.stdout.count("185.220.101.1") == 1
