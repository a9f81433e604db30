// Prints each draft as a JSON line: npm install, then
//   NATS_URL=nats://127.0.0.1:4222 NATS_NKEY=downstream.nk node consume.mjs
// A durable consumer: what is said while this program is down waits for it.
// Types: draft-ready.d.ts, made from the published schema (npm run types); npm run check uses them.
import { readFileSync } from "node:fs";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

/** @typedef {import("./draft-ready.js").DraftReady} DraftReady */

const STREAM = "DRAFT";
const DURABLE = "statistics";

const seed = readFileSync(process.env.NATS_NKEY ?? "downstream.nk", "utf8").trim();
const connection = await connect({
  servers: process.env.NATS_URL,
  authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
  inboxPrefix: "_INBOX_downstream",
  maxReconnectAttempts: -1,
});

// checkAPI asks for rights over the whole account, which a consumer has no need of.
const manager = await jetstreamManager(connection, { checkAPI: false });
await manager.consumers.add(STREAM, {
  durable_name: DURABLE,
  filter_subject: "draft.ready.v1.>",
  ack_policy: AckPolicy.Explicit,
});
const consumer = await jetstream(connection).consumers.get(STREAM, DURABLE);
const messages = await consumer.consume({ max_messages: 10 });

for (const number of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.on(number, () => messages.stop());
}

for await (const message of messages) {
  const draft = /** @type {DraftReady} */ (message.json());
  handle(draft);
  message.ack(); // after the effect: a crash before it brings the draft again
}
await connection.drain();

/** @param {DraftReady} draft */
function handle({ id, data }) {
  const sources = data.sources.map((source) => source.title);
  console.log(JSON.stringify({ event: id, mail: data.mail.mail_id, sources }));
}
