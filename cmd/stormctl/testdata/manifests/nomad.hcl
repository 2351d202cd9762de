# Agents of stormctl, for one run. A restarted agent would join midway, which none may.
job "stormctl-agent" {
  type = "batch"

  group "agent" {
    count = 3

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "agent" {
      driver       = "docker"
      kill_timeout = "60s"

      config {
        image = "registry.example/stormctl:1"
        args  = ["agent", "--name=agent-${NOMAD_ALLOC_INDEX}", "--allow=10.0.0.0/16,fd00::/8", "--loops=2", "--dir=${NOMAD_ALLOC_DIR}"]
      }

      template {
        data        = "STORMCTL_JOIN=nats://10.0.0.1:7422#9f2c61d0a4b7e8350c1d2e3f40516273\n"
        destination = "secrets/join.env"
        env         = true
      }

      resources {
        cores  = 2
        memory = 512
      }
    }
  }
}
