"""refrag-server with the real model: the routes of docs/http-api.md as a client sees them."""
import http.client
import json
import subprocess
import time
import unittest

from support import BIN, MODEL, Server, first_packages, refrag, temporary_directory, write_jsonl

QUESTION = "What is the section of oomd?"


class HttpApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(temporary_directory())
        write_jsonl(cls.directory / "packages.jsonl", first_packages(200))
        refrag("index", "--model", MODEL, "--kb", cls.directory / "kb", cls.directory / "packages.jsonl")
        cls.server = cls.enterClassContext(Server("--model", MODEL, "--kb", cls.directory / "kb"))

    def post(self, path, body, status=200):
        found, answer = self.server.request("POST", path, body)
        self.assertEqual(found, status, answer)
        return answer

    def test_query_gives_the_answer_its_sources_and_every_chunk(self):
        answer = self.post("/v1/query", {"question": QUESTION})
        self.assertEqual(answer["answer"], "admin")
        self.assertIn({"document_id": "oomd", "passage_id": "oomd#0"},
                      [{"document_id": c["document_id"], "passage_id": c["passage_id"]} for c in answer["citations"]])
        chunks = [chunk for hit in answer["retrieval"]["hits"] for chunk in hit["chunks"]]
        usage = answer["usage"]
        self.assertEqual(len(chunks), usage["chunks"])
        self.assertEqual(sum(chunk["state"] == "expanded" for chunk in chunks), usage["expanded"])
        self.assertEqual(usage["expanded"], round(0.1 * usage["chunks"]))
        self.assertTrue(all(chunk["reason"] for chunk in chunks))
        self.assertGreaterEqual(answer["timings_ms"]["ttft"], answer["timings_ms"]["prefill"])

    def test_streaming_gives_the_same_answer(self):
        whole = self.post("/v1/query", {"question": QUESTION})
        events = list(self.server.events("/v1/query", {"question": QUESTION, "stream": True}))
        self.assertEqual((events[0][0], events[-1][0]), ("retrieval", "done"))
        text = "".join(json.loads(data)["text"] for name, data in events if name == "token")
        self.assertEqual(text, whole["answer"])
        self.assertEqual(json.loads(events[-1][1])["answer"], whole["answer"])

    def test_ttft_runs_from_the_arrival_of_the_request(self):
        body = json.dumps({"question": QUESTION}).encode()
        connection = http.client.HTTPConnection(self.server.address.removeprefix("http://"))
        connection.putrequest("POST", "/v1/query")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        time.sleep(0.5)
        connection.send(body)
        timings = json.loads(connection.getresponse().read())["timings_ms"]
        connection.close()
        self.assertGreaterEqual(timings["ttft"], 400)
        self.assertGreaterEqual(timings["total"], timings["ttft"])

    def test_inline_passages_need_no_knowledge_base(self):
        passage = {"id": "p1", "text": "Package: tide\nSection: science\nVersion: 1.2-3\n"}
        with Server("--model", MODEL) as alone:
            status, answer = alone.request("POST", "/v1/query", {"question": "What is the section of tide?", "passages": [passage]})
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["usage"]["encoded_chunks"], answer["usage"]["chunks"])
            self.assertEqual([hit["passage_id"] for hit in answer["retrieval"]["hits"]], ["p1"])

    def test_documents_come_and_go(self):
        document = {"id": "a/b c", "title": "slashed", "text": "Package: slashed\nSection: oddities\n", "metadata": {"n": 3}}
        self.assertEqual(self.post("/v1/documents", {"documents": [document]})["created"], 1)
        self.assertEqual(self.post("/v1/documents", {"documents": [document]})["unchanged"], 1)
        document["text"] += "Version: 2\n"
        self.assertEqual(self.post("/v1/documents", {"documents": [document]})["replaced"], 1)
        status, stored = self.server.request("GET", "/v1/documents/a%2Fb%20c")
        self.assertEqual((status, stored["text"], stored["metadata"]), (200, document["text"], {"n": 3}))
        hits = self.post("/v1/search", {"query": "oddities", "filter": {"n": 3}})["hits"]
        self.assertEqual([hit["document_id"] for hit in hits], ["a/b c"])
        self.assertEqual(self.server.request("DELETE", "/v1/documents/a%2Fb%20c")[0], 200)
        self.assertEqual(self.server.request("GET", "/v1/documents/a%2Fb%20c")[0], 404)
        self.assertEqual(self.post("/v1/search", {"query": "oddities"})["hits"], [])

    def test_wrong_fields_are_named(self):
        for body, param in (({}, "question"), ({"question": 3}, "question"), ({"question": "q", "mode": "fast"}, "mode"),
                            ({"question": "q", "top_p": 2}, "top_p"), ({"question": "q", "colour": 1}, "colour"),
                            ({"question": "q", "expand": {"fraction": 0.1, "tokens": 3}}, "expand"),
                            ({"question": "q", "expand": {"by": "luck"}}, "expand.by"),
                            ({"question": "q", "retrieve": {"top_k": -1}}, "retrieve.top_k"),
                            ({"question": "q", "passages": [{"id": "p"}]}, "passages[0].text")):
            with self.subTest(body=body):
                error = self.post("/v1/query", body, status=400)["error"]
                self.assertTrue((error["param"] or "").startswith(param), error)

    def test_bodies_that_are_no_json(self):
        for body in (b"", b"{", b"\xff\xfe", b"[]", b'{"question": "\\ud800"}', b"[" * 100000):
            with self.subTest(body=body[:20]):
                self.assertEqual(self.server.request("POST", "/v1/query", body)[0], 400)
        self.assertEqual(self.server.request("GET", "/healthz")[0], 200)

    def test_openai_routes(self):
        models = self.server.request("GET", "/v1/models")[1]["data"]
        chat = self.post("/v1/chat/completions", {"model": models[0]["id"], "messages": [{"role": "user", "content": QUESTION}]})
        self.assertEqual(chat["choices"][0]["message"]["content"], "admin")
        vectors = self.post("/v1/embeddings", {"model": models[0]["id"], "input": ["one", "two"]})["data"]
        self.assertEqual([row["index"] for row in vectors], [0, 1])
        for body in ({"model": "other", "messages": [{"role": "user", "content": "q"}]}, {"model": models[0]["id"], "messages": []}):
            self.assertIn(self.server.request("POST", "/v1/chat/completions", body)[0], (400, 404))

    def test_metrics_and_contract_are_served(self):
        self.post("/v1/query", {"question": QUESTION})
        self.assertIn("refrag_", self.server.request("GET", "/metrics")[1])
        self.assertEqual(self.server.request("GET", "/openapi.json")[1]["openapi"][:3], "3.1")
        self.assertIn("<html", self.server.request("GET", "/")[1])

    def test_the_command_line_reads_while_the_server_runs(self):
        done = subprocess.run([BIN / "refrag", "kb", "stats", "--kb", self.directory / "kb", "--json"], capture_output=True, check=True)
        self.assertGreaterEqual(json.loads(done.stdout)["documents"], 200)

    def test_sigterm_ends_it_in_order(self):
        server = Server("--model", MODEL)
        self.assertEqual(server.request("GET", "/readyz")[0], 200)
        self.assertEqual(server.terminate(), 0)

    def test_sigterm_while_it_loads_ends_it_in_order(self):
        # Threads that libraries start before main block no signal: none may end the process through them.
        for _ in range(3):
            with subprocess.Popen([BIN / "refrag-server", "--port", "0", "--model", MODEL], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True) as process:
                self.assertIn("loading", process.stderr.readline())
                process.terminate()
                self.assertEqual(process.wait(timeout=60), 0)


if __name__ == "__main__":
    unittest.main()
