"""Plain HTTP to a simulator, without the package's own client."""

import time

import requests

NUMBER = "+393331234567"


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Door:
    """A session with a token, with the account's credentials, and with the controls."""

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = "Bearer any"

    def post(self, path="/WW-messages", **fields):
        body = {"recipient": NUMBER, "message": "Hello", **fields}
        return self.session.post(self.url + path, json=body, timeout=5, allow_redirects=False)

    def send(self, path="/WW-messages", **fields):
        """Post a message, wait for its last state, and return it as it was accepted."""
        response = self.post(path, **fields)
        assert response.status_code == 201
        self.wait_until_idle()
        answer = response.json()
        return answer.get("data", answer)

    def get(self, path, **query):
        return self.session.get(self.url + path, params=query, timeout=5)

    def account(self, path, method="GET", auth=("me@example.com", "key"), **arguments):
        return requests.request(method, self.url + path, auth=auth, timeout=5, **arguments)

    def control(self, name, json=None):
        method = "GET" if json is None else "POST"
        url = f"{self.url}/_simulator/{name}"
        return self.session.request(method, url, json=json, timeout=5)

    def ledger(self):
        return self.control("ledger").json()

    def requests(self):
        return self.control("requests").json()

    def message(self, message_id):
        return self.get(f"/messages/{message_id}").json()["data"]

    def listed(self, **query):
        return self.get("/messages", **query).json()["data"]

    def credit(self):
        return self.account("/wallet").json()["data"]["credit"]

    def wait_until_idle(self):
        wait_for(lambda: not self.control("idle").json()["waiting"])

    def close(self):
        self.session.close()
