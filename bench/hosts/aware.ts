/** The applications of the benchmarks with hosts that know conmgr: what application.py does, with CmClient. */

/** For `node -e`: the words are what it does, the port of conmgr, and the path of the client library. */
export const AWARE = `
  const [what, port, library] = process.argv.slice(1);
  const { CmClient } = require(library);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
  const open = async (target) => {
    const client = new CmClient({
      host: 'localhost', port: Number(port), user: 'postgres', database: 'postgres', target_session_attrs: target,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const wait = async () => {
    const client = await open('primary');
    console.log('waiting');
    await client.query('select pg_sleep(600)').catch(() => console.log('told'));
  };
  const write = async () => {
    let [count, failed] = [0, false];
    for (;;) {
      try {
        const client = await open('read-write');
        for (;;) {
          await client.query('insert into written default values');
          count += 1;
          if (failed) { console.log('wrote'); return; }
          if (count === 10) console.log('writing');
          await pause();
        }
      } catch {
        failed ||= count >= 10;
        await pause();
      }
    }
  };
  const connect = async () => {
    // The first one compiles the library.
    await open('any');
    const begun = performance.now();
    await open('any');
    console.log('connected', (performance.now() - begun).toFixed(2));
  };
  ({ wait, write, connect })[what]().then(() => process.exit(0));
`;
