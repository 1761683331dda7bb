/** Icons as lines of 24 × 24. */

const PATHS = {
    plus: "M12 5v14M5 12h14",
    minus: "M5 12h14",
    picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.2h.01",
    camera: "M4 8h4l1.5-2.5h5L16 8h4v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
    upload: "M12 16V5M7.5 9.5 12 5l4.5 4.5M5 19h14",
    download: "M12 5v11M7.5 11.5 12 16l4.5-4.5M5 19h14",
    copy: "M9 9h10v10H9zM15 9V5H5v10h4",
    check: "M5 12.5 10 17l9-10",
    cross: "M6 6l12 12M18 6 6 18",
    warning: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.3v.01",
    key: "M14.5 9.5 20 4M17 7l2 2M15 11a4.5 4.5 0 1 1-3-3",
    back: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6",
    up: "M12 19V6M6 11.5 12 5.5l6 6",
    next: "M5 12h13M12.5 6l6 6-6 6",
    trash: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
    return (
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d={PATHS[name]} />
        </svg>
    );
}
