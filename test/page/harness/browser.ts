/**
 * A real browser without a window: Chromium, spoken to over the pipe of its DevTools protocol
 * (https://chromedevtools.github.io/devtools-protocol/, --remote-debugging-pipe: JSON, each message ended by a NUL).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { temporaryDirectory } from '../../support/tree.js';

/** How long the browser may take for one answer. */
const PATIENCE_MS = 30_000;

type Json = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

/** How a page is looked at. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
}

export class Browser {
  readonly #process: ChildProcess;
  readonly #to: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #pages = new Map<string, (message: Message) => void>();
  #last = 0;
  #unread = '';

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.#to = child.stdio[3] as Writable;
    const from = child.stdio[4] as Readable;
    from.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#to.on('error', () => {});
  }

  static async start(): Promise<Browser> {
    const home = temporaryDirectory('chromium-');
    const child = spawn(
      'chromium',
      [
        '--headless=new',
        '--remote-debugging-pipe',
        // It shows nothing but the pages of this test, and containers have no user namespaces to sandbox it in.
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--hide-scrollbars',
        `--user-data-dir=${home}`,
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: home } },
    );
    const browser = new Browser(child);
    await browser.ask('Browser.getVersion');
    return browser;
  }

  /** A page that shows an address, in this view. */
  async open(url: string, view: View): Promise<Page> {
    const { targetId } = await this.ask('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId), view);
    this.#pages.set(String(sessionId), (message) => page.heard(message.method ?? '', message.params ?? {}));
    await page.load(url);
    return page;
  }

  ask(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), PATIENCE_MS);
      this.#waiting.set(id, ({ error, result = {} }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#to.write(`${JSON.stringify({ id: ++this.#last, method: 'Browser.close' })}\0`);
    await ended;
  }

  #read(text: string): void {
    const lines = (this.#unread + text).split('\0');
    this.#unread = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.id !== undefined) {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      } else if (message.sessionId !== undefined) this.#pages.get(message.sessionId)?.(message);
    }
  }
}

/** One tab, and everything that it asked for or complained about. */
export class Page {
  /** Addresses that it asked for. */
  readonly requests: string[] = [];
  /** What stands in its console, exceptions included. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;
  readonly #view: View;
  #loaded: () => void = () => {};

  constructor(browser: Browser, session: string, view: View) {
    this.#browser = browser;
    this.#session = session;
    this.#view = view;
  }

  async load(url: string): Promise<void> {
    const { width, height, scheme } = this.#view;
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.#ask(`${domain}.enable`);
    await this.#ask('Emulation.setDeviceMetricsOverride', {
      ...{ width, height, deviceScaleFactor: 1, mobile: width < 600 },
    });
    await this.#ask('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    });
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    await this.#ask('Page.navigate', { url });
    await loaded;
  }

  /** The value of an expression in the page; a promise is awaited. Throws Error for what it throws. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const answer = await this.#ask('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    const { result, exceptionDetails } = answer as { result: { value: Value }; exceptionDetails?: unknown };
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** What a reader sees. */
  text(): Promise<string> {
    return this.evaluate(`document.body.innerText.replace(/\\s+/g, ' ')`);
  }

  /** Resolves as soon as the page shows this; the page itself says when it has changed. */
  async shows(pattern: RegExp): Promise<void> {
    await this.evaluate(`new Promise((found, failed) => {
      const look = () => ${pattern}.test(document.body.innerText.replace(/\\s+/g, ' ')) && (watch.disconnect(), found(true));
      const watch = new MutationObserver(look);
      watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      setTimeout(() => failed(new Error('it never shows ' + ${JSON.stringify(String(pattern))})), 20000);
      look();
    })`);
  }

  /** A picture of the whole page, in the directory that PICTURES names, if it does. */
  async picture(name: string): Promise<void> {
    const directory = process.env['PICTURES'];
    if (directory === undefined || directory === '') return;
    const { data } = await this.#ask('Page.captureScreenshot', { captureBeyondViewport: true });
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${name}.png`), Buffer.from(String(data), 'base64'));
  }

  heard(method: string, params: Json): void {
    switch (method) {
      case 'Page.loadEventFired':
        this.#loaded();
        break;
      case 'Network.requestWillBeSent':
        this.requests.push((params['request'] as { url: string }).url);
        break;
      case 'Runtime.consoleAPICalled':
      case 'Runtime.exceptionThrown':
      case 'Log.entryAdded':
        this.complaints.push(JSON.stringify(params));
        break;
    }
  }

  #ask(method: string, params: Json = {}): Promise<Json> {
    return this.#browser.ask(method, params, this.#session);
  }
}
