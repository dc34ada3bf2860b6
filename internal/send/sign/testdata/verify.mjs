// Verifies one signature of Standard Webhooks, and prints true or false.
// Arguments: key, message id, timestamp, one item of the signature header, body.
import crypto from "node:crypto";

const [key, id, timestamp, signature, body] = process.argv.slice(2);
const [version, encoded] = signature.split(",");
const content = Buffer.from(`${id}.${timestamp}.${body}`);
const given = Buffer.from(encoded, "base64");
const raw = Buffer.from(key.slice(key.indexOf("_") + 1), "base64");

if (version === "v1") {
  const want = crypto.createHmac("sha256", raw).update(content).digest();
  console.log(crypto.timingSafeEqual(want, given));
} else {
  const head = Buffer.from("302a300506032b6570032100", "hex"); // an ed25519 key in SPKI
  const publicKey = crypto.createPublicKey({ key: Buffer.concat([head, raw]), format: "der", type: "spki" });
  console.log(crypto.verify(null, content, publicKey, given));
}
