/** The table of tasks: those about databases that the user may read, and for an administrator all. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Poller, tasks } from '../../api/calls.js';
import { count, duration, errorBox, openDialog, plural, tableBox, timestampMs, toastDone } from '../../components/ui.js';

const POLL_MS = 1_000;
const PLACING = 'place-replicas';
const COLUMNS = ['Task', 'About', 'Index', 'State', 'Progress', 'Time left'];

export class Tasks {
  #list;

  constructor(app) {
    this.app = app;
    this.#list = new Poller(POLL_MS, tasks.list, () => app.update());
  }

  start() {
    this.stop();
    if (this.app.may('reader')) this.#list.start(); // others see none
  }

  stop() { this.#list.stop(); }

  async #cancel({ id, kind, group, index, database, collection }) {
    const done = await openDialog({
      title: 'Cancel this task?',
      submitLabel: 'Cancel the task',
      danger: true,
      testid: 'task-cancel-dialog',
      body: () => (kind === PLACING
        ? html`<p>The replicas of group ${group} stay where they were.</p>`
        : html`<p>The index <code>${index}</code> of ${database}.${collection} is dropped.</p>`),
      submit: () => tasks.cancel(id),
    });
    if (!done) return;
    toastDone('The task was cancelled.');
    await this.#list.load();
  }

  view() {
    const { value, error } = this.#list;
    if (error) {
      if (error.status === 0) return nothing; // the page already shows that the node does not answer
      return section(errorBox(error, 'tasks-error'));
    }
    if (!value?.tasks.length) return nothing;
    const { tasks: list, total, missing_groups: missing = [] } = value;
    return section(html`${tableBox('Tasks', html`<table class="docs" data-testid="tasks-table">
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}
        <th class="row-actions"><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${list.map((task) => this.#row(task))}</tbody></table>`)}
      ${total > list.length ? html`<p class="muted">${plural(total - list.length, 'more task')}.</p>` : nothing}
      ${missing.length ? html`<p class="muted">No answer from group ${missing.join(', ')}.</p>` : nothing}`);
  }

  #row(task) {
    const { id, kind, group, database, collection, index, reason, left_ms: left } = task;
    const about = database ? `${database}.${collection}` : kind === PLACING ? `group ${group}` : nothing;
    const right = database ? 'owner' : 'admin';
    return html`<tr data-testid="task-row" data-id=${id} data-kind=${task.kind} data-state=${task.state}>
      <td><code>${id}</code></td><td>${about}</td><td>${index}</td>
      <td data-testid="task-state">${state(task)}${reason ? html` <span class="muted">${reason}</span>` : nothing}</td>
      <td class="num" data-testid="task-progress">${progress(task)}</td>
      <td class="num">${left === undefined ? '' : duration(left)}</td>
      <td class="row-actions">${task.cancellable && this.app.may(right, database) ? html`
        <button type="button" class="small danger-text" data-testid="task-cancel" aria-label="Cancel ${id}"
          @click=${() => this.#cancel(task)}>Cancel</button>` : nothing}</td></tr>`;
  }
}

const section = (content) => html`<section class="long-work" aria-labelledby="tasks-title">
  <div class="section-head"><h2 id="tasks-title">Tasks</h2></div>${content}</section>`;

function state({ state, due_ms: due }) {
  return due === undefined ? state : html`${state} until ${timestampMs(due)}`;
}

function progress({ done, total }) {
  if (total === undefined) return count(done);
  return html`<progress max=${total} value=${done}></progress> ${count(done)} of ${count(total)}`;
}
