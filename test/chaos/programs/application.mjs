/**
 * An application with sessions through the client library that query without a pause; says in JSON lines what becomes of
 * them, with the moment on the monotonic clock, which is the same in all processes of a machine.
 *
 *     application.mjs PATH_OF_THE_LIBRARY SESSIONS OPTIONS_AS_JSON
 */
const [library, sessions, options] = process.argv.slice(2);
const { CmClient } = (await import(library)).default ?? (await import(library));
const { pauseMs = 100, reconnect = false, stagger = 20, ...config } = JSON.parse(options);

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const say = (event, more) => process.stdout.write(`${JSON.stringify({ event, atMs: nowMs(), ...more })}\n`);

let answered = 0;
let longestMs = 0;
setInterval(() => {
  say('answered', { answered, longestMs: Math.round(longestMs) });
  answered = 0;
  longestMs = 0;
}, 500);

async function hold(session) {
  const client = new CmClient(config);
  let lost;
  const over = new Promise((resolve) => {
    lost = (error) => {
      resolve();
      say('lost', { session, code: error?.code, reason: error?.conmgr?.reason, text: error?.message });
    };
  });
  client.once('error', lost);
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query(
    "select pg_backend_pid() as pid, current_setting('cluster_name') as server, host(inet_client_addr()) as address, inet_client_port() as port",
  );
  say('connected', { session, instance: client.cmInstance?.instance, ...rows[0] });
  let living = true;
  void over.then(() => {
    living = false;
  });
  while (living) {
    try {
      const askedMs = nowMs();
      await client.query('select 1');
      answered += 1;
      longestMs = Math.max(longestMs, nowMs() - askedMs);
    } catch (error) {
      say('failed', { session, code: error.code });
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  await over;
}

async function keep(session) {
  do {
    try {
      await hold(session);
    } catch (error) {
      say('refused', { session, code: error.code, text: error.message, detail: error.detail });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } while (reconnect);
}

for (let session = 0; session < Number(sessions); session += 1) {
  void keep(session);
  await new Promise((resolve) => setTimeout(resolve, stagger));
}
