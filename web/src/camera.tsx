/** A photograph by the camera of the computer; a telephone takes it with an app of its own. */

import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
    take: (photo: Blob) => void;
    close: () => void;
}

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia) && !matchMedia("(pointer: coarse)").matches;

export function Camera({ take, close }: Props) {
    const dialog = useRef<HTMLDialogElement>(null);
    const video = useRef<HTMLVideoElement>(null);
    const [state, setState] = useState<"starting" | "on" | "refused">("starting");
    useEffect(() => {
        dialog.current?.showModal();
        let stream: MediaStream | undefined;
        let closed = false;
        const stop = () => stream?.getTracks().forEach((track) => track.stop());
        const wanted = { video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } } };
        navigator.mediaDevices.getUserMedia(wanted).then(
            (found) => {
                stream = found;
                if (closed) return stop();
                video.current!.srcObject = found;
            },
            () => setState("refused"),
        );
        return () => {
            closed = true;
            stop();
        };
    }, []);
    const shoot = () => {
        const { videoWidth, videoHeight } = video.current!;
        const canvas = new OffscreenCanvas(videoWidth, videoHeight);
        canvas.getContext("2d")!.drawImage(video.current!, 0, 0);
        canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }).then(take, () => setState("refused"));
    };
    return (
        <dialog ref={dialog} class="camera" aria-labelledby="camera-heading" onClose={close}>
            <h2 id="camera-heading">Take a picture</h2>
            {state === "refused" ? (
                <p role="alert">There is no camera, or the browser does not let this page use it.</p>
            ) : (
                <video
                    ref={video}
                    autoplay
                    muted
                    playsInline
                    aria-label="What the camera sees"
                    onLoadedData={() => setState("on")}
                />
            )}
            <div class="choices">
                <button type="button" onClick={close}>
                    Close
                </button>
                <button type="button" class="primary" disabled={state !== "on"} onClick={shoot}>
                    Take it
                </button>
            </div>
        </dialog>
    );
}
