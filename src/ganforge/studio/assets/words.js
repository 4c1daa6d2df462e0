const language = navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
const say = (key) => props.words[language][key] || key;
const root = element.querySelector(".studio-widget") || element;
