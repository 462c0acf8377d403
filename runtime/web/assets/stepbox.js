// Comfort for people with script: keys, copying, live updates that can be paused, and forms that warn before they are left.
// Every page works without this file. It makes no markup of texts and asks no other host.
(() => {
  "use strict";
  const base = document.body.dataset.base;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // The zone of this clock, so that the server writes times in it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.split("; ").includes("stepbox-zone=" + zone)) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = "stepbox-zone=" + zone + "; Path=" + (base || "/") + "; Max-Age=31536000; SameSite=Lax" + secure;
  }

  // Live updates: `r` or the switch pauses them. What arrives in the meantime is dropped; the next look has all of it.
  let live = true;
  const stream = document.getElementById("live");
  const switches = () => all("[data-live-switch]");
  const setLive = (on) => {
    live = on;
    switches().forEach((button) => button.setAttribute("aria-pressed", String(on)));
    if (on && stream) location.reload();
  };
  document.addEventListener("htmx:sse:before:message", (event) => { if (!live) event.preventDefault(); });
  switches().forEach((button) => button.addEventListener("click", () => setLive(!live)));

  // A page tells its progress in its title: the live part with `data-title` has the text.
  const said = document.getElementById("said");
  let last = "";
  const titled = () => {
    const part = document.querySelector("[data-title]");
    if (part && part.dataset.title) document.title = part.dataset.title;
    const icon = document.querySelector("link[rel=icon]");
    if (part && part.dataset.icon && icon.getAttribute("href") !== part.dataset.icon) icon.href = part.dataset.icon;
    if (part && said && part.dataset.said !== last) {
      if (last) said.textContent = part.dataset.said;
      last = part.dataset.said;
    }
  };
  document.addEventListener("htmx:after:swap", titled);
  titled();
  // When nothing moves any more, the page comes again, with what is known at the end alone: files, rejected items, buttons.
  // Nothing that is being typed or read in a menu is taken away.
  document.addEventListener("htmx:sse:close", (event) => {
    if (event.detail.reason !== "message" || !live) return;
    const busy = document.activeElement && typing(document.activeElement) || document.querySelector("[popover]:popover-open");
    if (!busy) location.reload();
  });

  // A log that is followed shows its last line.
  document.addEventListener("htmx:after:swap", () => {
    const log = document.querySelector("[data-append]");
    if (!log) return;
    // A page that is open for days does not grow for ever. All lines are in the log.
    const lines = all("p[id]", log);
    lines.slice(0, Math.max(0, lines.length - 4000)).forEach((line) => line.remove());
    if (document.querySelector("[data-follow][aria-pressed=true]")) log.scrollTop = log.scrollHeight;
  });
  all("[data-follow]").forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  }));

  // A log begins at its end, unless a line of it is named. One that is not in the page is in another part of the log.
  const log = document.querySelector("[data-last]");
  const line = /^#L([0-9]+)$/.exec(location.hash);
  if (log && line && !document.getElementById("L" + line[1])) {
    const whole = location.pathname.replace(/(\/executions\/[0-9]+)$/, "$1/log");
    if (!new URLSearchParams(location.search).has("line")) location.replace(whole + "?line=" + line[1] + location.hash);
  } else if (log && !line) {
    const wanted = log.querySelector(".hit");
    if (wanted) wanted.scrollIntoView({ block: "center" }); else log.scrollTop = log.scrollHeight;
  }

  // Copying. The old way serves pages without TLS.
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "sr";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await copy(button.dataset.copy);
    const before = button.innerHTML;
    button.textContent = "Copied";
    setTimeout(() => { button.innerHTML = before; }, 1500);
  });

  // All rows of the page.
  all("[data-pick-all]").forEach((box) => box.addEventListener("change", () => {
    all("input[type=checkbox][name=id]", box.form || document).forEach((other) => { other.checked = box.checked; });
    picked(box.form);
  }));
  const picked = (form) => {
    const count = form ? all("input[name=id]:checked", form).length : 0;
    all("[data-picked]", form || document).forEach((place) => { place.textContent = String(count); });
  };
  document.addEventListener("change", (event) => { if (event.target.name === "id") picked(event.target.form); });

  // A form that was changed is not left by accident, and says what is not saved.
  all("form[data-guard]").forEach((form) => {
    const nameOf = (field) => {
      const place = field.closest(".field, td");
      const label = place && place.querySelector(".label, label");
      return label ? label.firstChild.textContent.trim() : place && place.dataset.label || field.name;
    };
    const differs = (field) => {
      if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
      if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected !== option.defaultSelected);
      return field.type === "file" ? field.files.length > 0 : field.value !== field.defaultValue;
    };
    // A button has a name, too, and no value of a reader's.
    const isField = (field) => field.name && field.name !== "_tab" && field.tagName !== "BUTTON";
    const changed = () => [...new Set([...form.elements].filter((field) => isField(field) && differs(field)).map(nameOf))];
    const place = form.querySelector("[data-changes]");
    const show = () => {
      const names = changed();
      if (place) place.textContent = names.length ? names.length + " changed, not saved: " + names.join(", ") : "";
    };
    let leaving = false;
    form.addEventListener("input", show);
    form.addEventListener("submit", () => { leaving = true; });
    window.addEventListener("beforeunload", (event) => { if (!leaving && changed().length) event.preventDefault(); });
    show();
  });

  // Fields that depend on others: `data-when` has the conditions as JSON, a map of fields to what they must be.
  all("form").forEach((form) => {
    const dependent = all("[data-when]", form);
    if (!dependent.length) return;
    const value = (name) => {
      const fields = [...form.elements].filter((field) => field.name === name);
      const chosen = fields.find((field) => (field.type === "checkbox" || field.type === "radio") ? field.checked : field.type !== "hidden");
      return chosen ? chosen.value : (fields.find((field) => field.type === "hidden") || {}).value || "";
    };
    const holds = (when) => Object.entries(when).every(([name, wanted]) => {
      const found = value(name);
      if (wanted && typeof wanted === "object" && !Array.isArray(wanted)) return (found !== "") === wanted.set;
      return [].concat(wanted).some((one) => String(one) === found);
    });
    const show = () => dependent.forEach((place) => { place.hidden = !holds(JSON.parse(place.dataset.when)); });
    form.addEventListener("input", show);
    form.addEventListener("change", show);
    show();
  });

  // A link to a field in another tab opens the tab.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    const section = target && target.closest(".tabs > section");
    const tab = section && section.previousElementSibling && document.getElementById(section.previousElementSibling.htmlFor);
    if (!tab) return;
    tab.checked = true;
    const group = target.closest("details");
    if (group) group.open = true;
    setTimeout(() => target.focus(), 0);
  });

  // Dropping a file.
  all(".drop").forEach((place) => {
    const field = place.querySelector("input[type=file]");
    const form = place.closest("form");
    if (!field) return;
    const over = (on) => (event) => { event.preventDefault(); place.classList.toggle("over", on); };
    place.addEventListener("dragover", over(true));
    place.addEventListener("dragleave", over(false));
    place.addEventListener("drop", (event) => {
      over(false)(event);
      field.files = event.dataTransfer.files;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
    field.addEventListener("change", () => { if (form && form.dataset.send === "at-once" && field.files.length) form.requestSubmit(); });
  });

  // A file for a field is uploaded at once; the field gets its id.
  all("[data-upload]").forEach((field) => field.addEventListener("change", () => {
    const [file, into, words] = [field.files[0], document.getElementById(field.dataset.into), field.parentElement.querySelector("[data-progress]")];
    if (!file) return;
    const sending = new XMLHttpRequest();
    sending.upload.addEventListener("progress", (event) => { if (event.lengthComputable) words.textContent = Math.floor(100 * event.loaded / event.total) + " %"; });
    sending.addEventListener("loadend", () => {
      let answer = {};
      try { answer = JSON.parse(sending.responseText); } catch { /* The status says enough. */ }
      if (sending.status >= 200 && sending.status < 300) {
        into.value = answer.id;
        into.dispatchEvent(new Event("input", { bubbles: true }));
        words.textContent = file.name;
      } else {
        words.textContent = answer.detail || "not uploaded";
      }
    });
    sending.open("POST", field.dataset.upload + "?name=" + encodeURIComponent(file.name));
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.send(file);
  }));

  // Keys. None of them acts while something is typed.
  let begun = "";
  const typing = (target) => target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const keys = begun ? begun + " " + event.key : event.key;
    begun = "";
    const shortcut = document.querySelector(`[aria-keyshortcuts="${CSS.escape(keys).replace(/\\ /g, " ")}"]`);
    if (event.key === "g" && keys === "g") { begun = "g"; return; }
    if (keys === "/") {
      const field = document.querySelector("[aria-keyshortcuts='/']") || document.querySelector(".find input");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (keys === "?") {
      document.getElementById("keys")?.togglePopover();
    } else if (keys === "t") {
      const themes = all("input[name=theme]");
      const next = themes[(themes.findIndex((theme) => theme.checked) + 1) % themes.length];
      if (next) { next.checked = true; fetch(next.form.action, { method: "POST", body: new URLSearchParams({ theme: next.value }) }); }
    } else if (keys === "r" && stream) {
      setLive(!live);
    } else if (shortcut && shortcut.href) {
      event.preventDefault();
      location.assign(shortcut.href);
    }
  });
})();
