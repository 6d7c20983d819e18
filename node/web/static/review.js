// The frame slider and the window of the picture on an instance's page.
"use strict";
(() => {
  const picture = document.getElementById("picture");
  if (!picture) return;
  const input = (id) => document.getElementById(id);
  let asked = 0;
  const show = () => {
    const query = new URLSearchParams();
    if (input("frame")) {
      query.set("n", input("frame").value);
      input("frame-shown").value = String(Number(input("frame").value) + 1);
    }
    if (input("centre")) {
      query.set("centre", input("centre").value);
      query.set("width", input("width").value);
    }
    const mine = ++asked;
    setTimeout(() => { if (mine === asked) picture.src = `${picture.dataset.address}?${query}`; }, 60);
  };
  for (const id of ["frame", "centre", "width"]) if (input(id)) input(id).addEventListener("input", show);
})();
