import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { argument, escapeText, literal, paragraph, sentence } from '../../../packaging/manual/mdoc.js';
import { displaysOf, renderPage } from '../../../packaging/manual/places.js';
import * as client from '../../../src/client/index.js';
import {
  conmgrParameterDocs,
  type ParameterDoc,
  watchdogParameterDocs,
} from '../../../src/core/config/render.js';
import { resolveConmgrConfig, resolveWatchdogConfig } from '../../../src/core/config/resolve.js';
import { parseArguments } from '../../../src/core/ctl/arguments.js';
import { EXIT } from '../../../src/core/ctl/exit-status.js';
import { OPTIONS, type OptionSpec } from '../../../src/core/ctl/options.js';
import { CONFIG_MESSAGES } from '../../../src/core/messages/config.js';
import { CONMGR_MESSAGES } from '../../../src/core/messages/conmgr.js';
import type { MessageSpec } from '../../../src/core/messages/message.js';
import { PROCESS_MESSAGES } from '../../../src/core/messages/process.js';
import { TERMINATOR_MESSAGES } from '../../../src/core/messages/terminator.js';
import { WATCHDOG_MESSAGES } from '../../../src/core/messages/watchdog.js';
import { MODES } from '../../../src/ctl/modes.js';
import { STOP_SIGNALS } from '../../../src/watchdog/stop-reason.js';
import { inTree } from '../../support/tree.js';

const VERSION = '1.2.3';

function sourceOf(page: string): string {
  return readFileSync(inTree(`man/${page}.in`), 'utf8');
}

function rendered(page: string): string {
  return renderPage(sourceOf(page), VERSION);
}

/** The entry of a list with this head, up to the next of any list. */
function entry(page: string, head: string): string {
  const [, found] = page.split(`\n.It ${head}`).map((text) => text.split('\n.It ')[0] ?? '');
  assert.ok(found !== undefined, `there is no entry ".It ${head}"`);
  return found;
}

/** The source without its line breaks, so that a text is found where it was wrapped. */
function unwrapped(page: string): string {
  return page.replaceAll('\n', ' ');
}

function assertDescribes(page: string, parameters: readonly ParameterDoc[]): void {
  assert.ok(parameters.length > 0);
  for (const { name, doc, availability } of parameters) {
    const text = unwrapped(entry(page, `Va ${name}`));
    if (availability === 'now') assert.ok(text.includes(unwrapped(paragraph(doc))), `${name}: ${text}`);
    assert.match(text, /[Dd]efault: /, name);
  }
}

describe('the manual pages', () => {
  const pages = readdirSync(inTree('man')).map((file) => file.replace(/\.in$/, ''));

  it('are all there', () => {
    assert.deepEqual([...pages].sort(), [
      'cm_ctl.1',
      'conmgr-client.7',
      'conmgr-helper.8',
      'conmgr-messages.7',
      'conmgr-watchdog.8',
      'conmgr-watchdog.conf.5',
      'conmgr.7',
      'conmgr.8',
      'conmgr.conf.5',
    ]);
  });

  for (const page of pages) {
    it(`${page} has no place left that is not filled, and names the version`, () => {
      const text = rendered(page);
      assert.doesNotMatch(text, /^@|@[A-Z]+@/m);
      assert.match(text, /^\.Os "conmgr 1\.2\.3"$/m);
    });

    it(`${page} refers to pages that are there`, () => {
      for (const [, name, section] of rendered(page).matchAll(/^\.(?:It )?Xr (\S+) (\d)/gm)) {
        if (name?.startsWith('conmgr') || name?.startsWith('cm_ctl'))
          assert.ok(pages.includes(`${name}.${section}`), `${name}(${section})`);
      }
    });
  }

  it('no heading has a word that mdoc would take for a macro', () => {
    for (const page of pages)
      for (const [heading] of sourceOf(page).matchAll(/^\.S[sh] .*$/gm))
        assert.doesNotMatch(heading, / (?:An|At|Do|In|No|So)(?: |$)/, page);
  });

  it('a place that nothing fills is an error', () => {
    assert.throws(() => renderPage('@no such list@\n', VERSION), /nothing fills the place "no such list"/);
    assert.throws(() => renderPage('@mode no-such@\n', VERSION), /no mode "no-such"/);
  });

  it('every message of every table is in conmgr-messages(7), once, with cause and cure', () => {
    const page = rendered('conmgr-messages.7');
    const folder = inTree('src/core/messages');
    const codes = readdirSync(folder).flatMap((file) =>
      [...readFileSync(`${folder}/${file}`, 'utf8').matchAll(/code: '(CM\d{4})'/g)].map(([, code]) => code),
    );
    assert.ok(codes.length > 200, `only ${codes.length} messages were found`);
    for (const code of codes) {
      const parts = page.split(`\n.It Sy ${code}\n`);
      const times = `${code} appears ${parts.length - 1} times`;
      assert.equal(parts.length, 2, `${times}; packaging/manual/message-tables.ts lists the tables`);
      const [text = ''] = (parts[1] ?? '').split('\n.It Sy ');
      assert.match(text, /\n\.It Cause\n.+\n(?:.+\n)*\.It Cure\n/, code);
    }
  });

  it('every parameter is in the page of its file', () => {
    assertDescribes(rendered('conmgr.conf.5'), conmgrParameterDocs());
    assertDescribes(rendered('conmgr-watchdog.conf.5'), watchdogParameterDocs());
  });

  it('a parameter of a later version is named as such only', () => {
    const [before = '', after = ''] = rendered('conmgr.conf.5').split('.Sh RESERVED NAMES');
    for (const { name, availability } of conmgrParameterDocs()) {
      const [holds, lacks] = availability === 'now' ? [before, after] : [after, before];
      assert.ok(holds.includes(`\n.It Va ${name}`), name);
      assert.ok(!lacks.includes(`\n.It Va ${name}`), name);
    }
  });

  it('every mode, option and exit status is in cm_ctl(1)', () => {
    const page = rendered('cm_ctl.1');
    for (const { name, doc } of MODES) {
      assert.ok(page.includes(`\n.Nm\n.Cm ${name}\n`), `${name} in the synopsis`);
      assert.ok(unwrapped(entry(page, `Cm ${name}`)).includes(unwrapped(paragraph(sentence(doc)))), name);
    }
    const options: readonly OptionSpec[] = Object.values(OPTIONS);
    for (const { short, long } of options) {
      const head = short === undefined ? `Fl ${literal(`-${long}`)}` : `Fl ${argument(short)}`;
      assert.ok(entry(page, head).length > 0, head);
    }
    for (const status of Object.values(EXIT)) assert.ok(entry(page, `${status}\n`).length > 0);
  });

  it('a mode that the page does not place itself is listed all the same', () => {
    const page = renderPage('.Bl\n@mode init@\nMore.\n@other modes@\n.El\n', VERSION);
    for (const { name } of MODES)
      assert.equal(page.split(`.It Cm ${name}`).length, name === 'resolve' ? 3 : 2, name);
  });

  it('every signal of the daemons is in their pages', () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGQUIT', 'SIGHUP'])
      entry(rendered('conmgr.8'), `Dv ${signal}`);
    const signals = rendered('conmgr-watchdog.8').split('.Sh SIGNALS')[1]?.split('.Sh ')[0] ?? '';
    for (const signal of [...STOP_SIGNALS, 'SIGHUP']) assert.ok(signals.includes(signal), signal);
  });

  it('every exit status of the daemons is in their pages', () => {
    const exitsOf = (...tables: Readonly<Record<string, MessageSpec>>[]) =>
      new Set(tables.flatMap((table) => Object.values(table).flatMap(({ exit }) => exit ?? [])));
    const daemons = {
      'conmgr.8': exitsOf(CONMGR_MESSAGES, CONFIG_MESSAGES, PROCESS_MESSAGES),
      'conmgr-watchdog.8': exitsOf(WATCHDOG_MESSAGES, TERMINATOR_MESSAGES),
    };
    for (const [page, exits] of Object.entries(daemons)) {
      const section = rendered(page).split('.Sh EXIT STATUS')[1]?.split('.Sh ')[0] ?? '';
      for (const exit of exits) entry(section, `${exit}\n`);
    }
  });

  it('all that the client library exports is in conmgr-client(7)', () => {
    const page = rendered('conmgr-client.7');
    for (const name of Object.keys(client)) entry(page, `Li ${name}`);
  });
});

/** The files that displays show, or have the shell write. */
function filesIn(page: string): string[] {
  return displaysOf(sourceOf(page)).flatMap((display) => {
    const written = [...display.matchAll(/^echo "\n([^"]*)" >/gm)].map(([, text = '']) => text);
    return written.length === 0 ? [display] : written;
  });
}

describe('what a reader copies from a page', () => {
  const commands = ['cm_ctl.1', 'conmgr.7', 'conmgr-watchdog.8'].flatMap((page) =>
    displaysOf(sourceOf(page)).flatMap((display) =>
      [...display.matchAll(/(?:^|\$\()(cm_ctl [^\n)]*)/gm)].map(([, command = '']) => command),
    ),
  );

  for (const command of new Set(commands)) {
    it(`"${command}" is a command that cm_ctl takes`, () => {
      const words = command.split(/\s+/).slice(1);
      assert.equal(parseArguments(words, MODES, {}).act, 'run');
    });
  }

  it('is a whole course from an empty directory to a stop', () => {
    const modes = commands.map((command) => command.split(' ')[1]);
    const course = ['register', 'init', 'check', 'start', 'status', 'resolve', 'reload', 'restart', 'stop'];
    for (const mode of [...course, 'unregister']) assert.ok(modes.includes(mode), mode);
  });

  for (const page of ['conmgr.conf.5', 'conmgr.7']) {
    it(`every conmgr.conf in ${page} has no error`, () => {
      const files = filesIn(page).filter((text) => text.includes('backend_host0'));
      assert.ok(files.length > 0);
      for (const file of files) {
        const { problems, remarks } = resolveConmgrConfig(file);
        assert.deepEqual([...problems, ...remarks], []);
      }
    });
  }

  for (const page of ['conmgr-watchdog.conf.5', 'conmgr.7']) {
    it(`the settings of the watchdog in ${page} have no error`, () => {
      const text = displaysOf(sourceOf(page)).join('\n');
      const settings = [...text.matchAll(/^(watchdog\.\w+) = '?([^'#\n]*?)'?\s*(?:#.*)?$/gm)];
      assert.ok(settings.length > 0);
      const raw = new Map(settings.map(([, name = '', value = '']) => [name, value]));
      assert.deepEqual(resolveWatchdogConfig(raw).problems, []);
    });
  }

  it('is printed character by character in a literal display', () => {
    const page = renderPage(".Bd -literal\npsql -X 'a' ~/b `c`\\d\n.e\n.Ed\nit's -1\n", VERSION);
    assert.equal(page, ".Bd -literal\npsql \\-X \\(aqa\\(aq \\(ti/b \\(gac\\(ga\\ed\n\\&.e\n.Ed\nit's -1\n");
  });
});

describe('text in a manual page', () => {
  it('minus signs, quotes and backslashes stay what they are, hyphens in words stay hyphens', () => {
    assert.equal(
      escapeText("read-write, --json, -1, it's \\n"),
      'read-write, \\-\\-json, \\-1, it\\(aqs \\en',
    );
  });

  it('names are not divided at the end of a line', () => {
    assert.equal(
      escapeText('synchronous_standby_names in "postgresql.conf" of PostgreSQL is LOCAL0, not {level}; \\%x'),
      '\\%synchronous_standby_names in "\\%postgresql.conf" of \\%PostgreSQL is \\%LOCAL0, not {level}; \\e%x',
    );
    const page = '.Va watchdog.port ,\na WARNING\n.Bd -literal\nLOCAL0\n.Ed\n';
    const expected = '.Va \\%watchdog.port ,\na \\%WARNING\n.Bd -literal\nLOCAL0\n.Ed\n';
    assert.equal(renderPage(page, VERSION), expected);
    assert.equal(renderPage(expected, VERSION), expected);
  });

  it('each sentence begins on a line of its own', () => {
    assert.equal(paragraph('One. "Two" is. Three 1.5 so?'), 'One.\n"Two" is.\nThree 1.5 so?');
  });

  it('no text becomes a request, whatever it is', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ .'"\\a-zA-Z-]{0,200}$/), (text) => {
        for (const line of paragraph(text).split('\n')) {
          assert.doesNotMatch(line, /^[.']/);
          // Only escapes that this module makes.
          assert.doesNotMatch(line.replace(/\\(?:e|&|%|-|\((?:aq|ga|ha|ti))/g, ''), /\\/);
        }
      }),
    );
  });

  it('an argument of a macro is one argument', () => {
    assert.equal(argument('plain_word.x'), 'plain_word.x');
    assert.equal(argument('two words'), '"two words"');
    assert.equal(argument('a "b"'), '"a \\(dqb\\(dq"');
  });
});
