# A service around Faraday's retry middleware, as its own documentation sets it up, for
# stormctl's proving ground:
#
#   ADDR=127.0.0.1:8080 DEPENDENCY=http://127.0.0.1:7000 ruby service.rb faraday
#
# Each request makes the call of its own method and path, and is answered what that came
# to. Settings that are not the library's defaults come from the environment, so that the
# experiment file shows them.
require 'faraday'
require 'webrick'
begin
  require 'faraday/retry' # of its own since Faraday 2
rescue LoadError
  nil
end

abort 'give faraday' unless ARGV == ['faraday']

PASSED = %w[X-Request-Id Traceparent Idempotency-Key Content-Type].freeze

# given leaves out what is not set, so that the library's default stands.
given = {
  max: ENV['MAX']&.to_i, interval: ENV['INTERVAL']&.to_f, interval_randomness: ENV['RANDOMNESS']&.to_f,
  backoff_factor: ENV['BACKOFF_FACTOR']&.to_f, retry_statuses: ENV['STATUSES']&.split(',')&.map(&:to_i)
}.compact

connection = Faraday.new(url: ENV.fetch('DEPENDENCY'), request: { timeout: (ENV['TIMEOUT'] || '1').to_f }) do |f|
  f.request :retry, given
  f.adapter Faraday.default_adapter
end

host, port = ENV.fetch('ADDR').split(':')
server = WEBrick::HTTPServer.new(BindAddress: host, Port: port.to_i, MaxClients: 1024, AccessLog: [], Logger: WEBrick::Log.new(nil, 0))
server.mount_proc('/') do |request, response|
  next if request.path == '/healthz'

  headers = PASSED.filter_map { |name| [name, request[name]] if request[name] }.to_h
  begin
    response.status = connection.run_request(request.request_method.downcase.to_sym, request.path, request.body, headers).status
  rescue Faraday::TimeoutError
    response.status = 504
  rescue Faraday::Error
    response.status = 503
  end
end
trap('TERM') { server.shutdown }
server.start
