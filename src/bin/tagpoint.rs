//! `tagpoint`: the web service, and tools on models and pictures.

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tagpoint::{
    import, infer,
    output::Answering,
    picture::command,
    serve::{Application, Models, Resolved, ServeArgs, Settings, init_logging},
    tools::{bench, feedback, health, jobs, keys, models, predict, thresholds, tune},
};
use tokio::net::TcpListener;

/// The allocator of the whole process, ONNX Runtime's `malloc` included. glibc's keeps what a model took that is no longer
/// loaded: after fifty swaps under load the process was 2.7 times as large as before them.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Serve picture taggers and keypoint models over HTTP
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve every model of a folder over HTTP
    Serve(ServeArgs),
    /// Print the settings that `serve` would use, and where each comes from
    Config(ServeArgs),
    /// Ask the server of these settings whether it is ready; ends with status 1 and the reason where it is not
    Health(Box<health::HealthArgs>),
    /// List what lies in a models folder
    Models(models::ModelsArgs),
    /// Make, list and revoke keys of the database
    Keys(keys::KeysArgs),
    /// Thresholds from corrected predictions, and the way back
    Thresholds(thresholds::ThresholdsArgs),
    /// What people have corrected, as a data set
    Feedback(feedback::FeedbackArgs),
    /// How far bulk jobs are, their results, and their end
    Jobs(jobs::JobsArgs),
    /// Answer pictures without a server
    Predict(predict::PredictArgs),
    /// Put load on a server that runs, and tell how fast it answers
    Bench(bench::BenchArgs),
    /// Find the instances, threads and waiting that suit this host and a model, and write them as settings
    Tune(Box<tune::TuneArgs>),
    /// Make somebody else's ONNX file a model that can be served, and write OUT/NEXT-VERSION/model.onnx
    Import(Box<import::ImportArgs>),
    /// Show the pixels that a model sees of a picture
    Pixels(command::PixelsArgs),
}

fn main() -> anyhow::Result<()> {
    // SAFETY: first thing in main, so no other thread runs.
    #[allow(unsafe_code, reason = "ONNX Runtime reads this switch from the environment only")]
    unsafe {
        infer::disable_telemetry();
    }
    match Cli::parse().command {
        Command::Serve(args) => serve(Settings::resolve(args)?),
        Command::Config(args) => Ok(write!(Answering, "{}", Settings::resolve(args)?)?),
        Command::Health(args) => on_runtime(async |_| health::run(*args).await),
        Command::Models(args) => models::run(&args, &mut Answering),
        Command::Keys(args) => on_runtime(async |out| keys::run(&args, out).await),
        Command::Thresholds(args) => on_runtime(async |out| thresholds::run(&args, out).await),
        Command::Feedback(args) => on_runtime(async |out| feedback::run(&args, out).await),
        Command::Jobs(args) => on_runtime(async |out| jobs::run(&args, out).await),
        Command::Predict(args) => predict::run(&args, &mut Answering),
        Command::Bench(args) => bench(&args),
        Command::Tune(args) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(tune::run(*args))
        }
        Command::Import(args) => import::run(&args),
        Command::Pixels(args) => command::run(&args).map(|_| ()),
    }
}

fn serve(resolved: Resolved) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let settings = resolved.settings;
        let tracing = init_logging(settings.log_format, settings.otlp_endpoint.as_deref());
        let tracing = tracing.map_err(|error| anyhow::anyhow!(error))?;
        for said in resolved.passed_over {
            tracing::warn!("{said}");
        }
        let listen = settings.listen;
        let scheme = if settings.connections.tls.is_some() { "https" } else { "http" };
        let application = Application::build(settings)?;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        tokio::spawn(say_how_to_ask(application.models(), scheme, listener.local_addr()?));
        let served = application.run(listener, told_to_stop()?).await;
        tracing.finish().await;
        Ok(served?)
    });
    // What still runs on a blocking thread did not end within the stop's time, and may never.
    runtime.shutdown_background();
    served
}

/// Runs a tool that waits for a database, with the standard output.
fn on_runtime(tool: impl AsyncFnOnce(&mut Answering) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tool(&mut Answering))
}

fn bench(args: &bench::BenchArgs) -> anyhow::Result<()> {
    // One thread: the generator leaves the other processors to the server that it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(bench::run(args))?;
    let text = if args.json { serde_json::to_string(&summary)? + "\n" } else { summary.to_string() };
    Answering.write_all(text.as_bytes())?;
    anyhow::ensure!(summary.statuses.contains_key(&200), "no request was answered with status 200");
    Ok(())
}

/// Once the models are loaded, prints commands that ask the first few of them.
async fn say_how_to_ask(models: std::sync::Arc<Models>, scheme: &str, address: std::net::SocketAddr) {
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = address.port();
    for model in models.loaded().await.iter().take(3) {
        let picture = sample_picture(model);
        let line = format!(
            "ready; try: curl --data-binary @{picture} -H 'content-type: image/jpeg' \
             {scheme}://{host}:{port}/v1/models/{model}/predict"
        );
        // A closed standard output is no reason to stop serving.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// The model's picture in `samples/`, or a name to put one's own in place of.
fn sample_picture(model: &str) -> String {
    let sample = format!("samples/{model}.jpg");
    if std::path::Path::new(&sample).is_file() { sample } else { "photo.jpg".to_owned() }
}

/// Done on ctrl-C and on SIGTERM.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
    })
}
