/** Changes to the cluster: which a node allows, and the dialog that explains each first. */
import { html, nothing } from '../vendor/lit-html.js';
import { cluster, tokens } from '../api.js';
import { openDialog } from '../components/dialog.js';
import { impact, verdict } from '../components/quorum.js';
import { showSecret } from '../components/secret.js';
import { toastDone } from '../components/ui.js';

const LOST_QUORUM = 'would_lose_quorum';
const up = (node) => node.status === 'ACTIVE';
const leads = (node, data) => node.id === data.leaderId;
const here = (node, data) => (node.id === data.nodeId
  ? html`<p>This page is served by ${node.id}: it will lose touch until the node is back,
    or you open another node.</p>` : nothing);
const handsOver = (node, data) => (leads(node, data)
  ? html`<p>${node.id} is the leader. Another node takes over first;
    writes wait for a moment.</p>` : nothing);

const ACTIONS = [
  {
    name: 'promote',
    label: 'Make leader',
    title: (node) => `Make ${node.id} the leader?`,
    when: (node, data) => up(node) && !leads(node, data) && node.role !== 'LEARNER',
    text: (node, data) => html`<p>Leadership moves from ${data.leaderId ?? 'nobody'} to ${node.id}.
      Writes wait for a moment while it does.</p>`,
    done: (node) => `${node.id} was asked to lead.`,
  },
  {
    name: 'resume',
    label: 'Resume',
    when: (node) => node.status === 'PAUSED',
    text: (node) => html`<p>${node.id} serves clients again.</p>`,
    done: (node) => `${node.id} resumed.`,
  },
  {
    name: 'pause',
    label: 'Pause',
    when: up,
    text: (node, data) => html`<p>${node.id} refuses clients until you resume it.
      It keeps its data and goes on voting.</p>${handsOver(node, data)}`,
    done: (node) => `${node.id} paused.`,
  },
  {
    name: 'restart',
    label: 'Restart',
    when: up,
    text: (node, data) => html`<p>The process of ${node.id} ends and starts again.
      It catches up by itself.</p>${handsOver(node, data)}${here(node, data)}`,
    done: (node) => `${node.id} restarts.`,
  },
  {
    name: 'stop',
    label: 'Stop',
    danger: true,
    force: true,
    when: (node) => up(node) || node.status === 'PAUSED',
    preview: true,
    text: (node, data) => html`<p>The process of ${node.id} ends.
      It stays a member and must be started on its own machine.</p>
      ${handsOver(node, data)}${here(node, data)}`,
    done: (node) => `${node.id} stops.`,
  },
  {
    name: 'remove',
    label: 'Remove',
    danger: true,
    force: true,
    typed: true,
    when: (node, data) => node.status !== 'LEAVING' && data.nodes.length > 1,
    preview: true,
    call: cluster.deregister,
    text: (node, data) => html`<p>${node.id} leaves the cluster for good.
      Its data stays on its disk but no longer counts.</p>${handsOver(node, data)}`,
    done: (node) => `${node.id} leaves the cluster.`,
  },
];

/** The actions that mean something for `node` as it is now. */
export const actionsFor = (node, data) => ACTIONS.filter((action) => action.when(node, data));

/** Asks, then makes the change. Resolves when the dialog is closed, whatever the outcome. */
export async function act(action, node, data) {
  const call = action.call ?? cluster[action.name];
  const done = await openDialog({
    title: action.title?.(node) ?? `${action.label} ${node.id}?`,
    submitLabel: action.label,
    danger: action.danger,
    typed: action.typed ? node.id : undefined,
    force: action.force && { code: LOST_QUORUM, label: `${action.label} by force`, typed: node.id },
    body: () => [action.text(node, data), action.preview ? preview(data, action.name, node) : nothing],
    submit: ({ force }) => call(force ? { node: node.id, force } : { node: node.id }),
  });
  if (done) toastDone(action.done(node));
}

/** Asks for the address of a node and registers it. */
export async function addNode(data) {
  const done = await openDialog({
    title: 'Add a node',
    submitLabel: 'Add node',
    testid: 'add-dialog',
    body: () => html`
      <p>Start the new node first: it waits until it is registered here. It joins as a learner,
        catches up, and votes from then on.</p>
      <label>URL <input name="url" type="url" required autofocus placeholder="http://127.0.0.1:8084"
        pattern="https?://.+" title="http://host:port" data-testid="add-url"></label>
      <label>Description <span class="muted">optional</span>
        <input name="description" autocomplete="off" data-testid="add-description"></label>
      ${preview(data, 'add')}`,
    submit: ({ url, description }) =>
      cluster.register(description.trim() ? { url, description: description.trim() } : { url }),
  });
  if (done) toastDone('The node is registered and catches up now.');
}

const HOUR_MS = 3_600_000;
const HOURS = [[1, 'an hour'], [24, 'a day'], [168, 'a week']];

/** Makes a token with which a node can join, and shows the command that starts the node. */
export async function addToken(data) {
  const made = await openDialog({
    title: 'Make a join token',
    submitLabel: 'Make token',
    testid: 'join-dialog',
    body: () => html`
      <p>One new node can join with it without knowing the secret of the cluster, and without being added
        here.</p>
      <label>It holds for <select name="hours" data-testid="join-hours">${HOURS.map(([hours, text]) => html`
        <option value=${hours}>${text}</option>`)}</select></label>`,
    submit: ({ hours }) => tokens.createJoin({ expires_in_ms: Number(hours) * HOUR_MS }),
  });
  if (!made) return;
  const leader = data.nodes.find((node) => leads(node, data)) ?? data.nodes.find(({ id }) => id === data.nodeId);
  await showSecret('The join token', made.token, html`<p>Start the new node with it:</p>
    <pre tabindex="0" data-testid="join-command">jettradb --distributed --peers ${leader.url} --join-token ${made.token} --port 8080 --data-dir data</pre>
    <p class="muted">On another machine, add <code>--host</code> and <code>--advertise-url</code> with its
      address.</p>`);
}

function preview(data, action, node) {
  const { before, after } = impact(data.nodes, action, node);
  const row = (name, key) => html`<tr><th scope="row">${name}</th>
    <td data-testid="preview-${key}-before">${before[key]}</td>
    <td data-testid="preview-${key}-after"
      class=${before[key] === after[key] ? '' : 'changed'}>${after[key]}</td></tr>`;
  const { tone, text } = verdict(after);
  return html`
    <table class="preview" data-testid="quorum-preview">
      <thead><tr><th></th><th scope="col">Now</th><th scope="col">After</th></tr></thead>
      <tbody>${row('Voters', 'voters')}${row('Live voters', 'live')}
        ${row('Quorum', 'quorum')}${row('Failures tolerated', 'tolerates')}</tbody>
    </table>
    <p class="verdict ${tone}" data-testid="preview-verdict">${text}</p>`;
}
