// A program of a user: it lists and deletes sessions through a client that is
// generated from the OpenAPI document, checked by the TypeScript compiler.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema.js";

const [base, token] = process.argv.slice(2);
const client = createClient<paths>({
  baseUrl: base!,
  headers: { Authorization: `Bearer ${token}` },
});

function check(ok: boolean, what: string): asserts ok {
  if (!ok) {
    console.error(what);
    process.exit(1);
  }
}

async function list(prefix: string): Promise<components["schemas"]["Session"][]> {
  const sessions = [];
  let cursor: string | undefined;
  do {
    const { data, error } = await client.GET("/v1/sessions", {
      params: { query: { prefix, limit: 2, cursor } },
    });
    check(error === undefined && data !== undefined, `list: ${JSON.stringify(error)}`);
    sessions.push(...data.sessions);
    cursor = data.next_cursor;
  } while (cursor);
  return sessions;
}

const before = await list("user:");
check(before.length === 3, `listed ${before.length}`);
const victim = before.find((s) => s.key === "user:a/b c?ü");
check(victim !== undefined && victim.size === 5, "the awkward key is not listed");

const path = { key: victim.key };
const decoded = await client.GET("/v1/sessions/{key}/decoded", { params: { path } });
check(decoded.data?.format === "json", `decoded: ${JSON.stringify(decoded)}`);

const deleted = await client.DELETE("/v1/sessions/{key}", { params: { path } });
check(deleted.response.status === 204, `delete: ${JSON.stringify(deleted.error)}`);

const again = await client.DELETE("/v1/sessions/{key}", { params: { path } });
check(again.error?.status === 404, "deleting twice is not a problem with status 404");

const put = await client.PUT("/v1/sessions/{key}", {
  params: { path: { key: "user:new" } },
  body: { value: "x", ttl_seconds: 60 },
});
check(put.data?.key === "user:new", `put: ${JSON.stringify(put.error)}`);

console.log((await list("user:")).map((s) => s.key).join(" "));
